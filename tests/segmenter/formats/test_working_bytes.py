"""Decoding takes what is said: measured by the kernel, for every kind of file."""

import re
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pillow_heif
import pytest
import tifffile
from PIL import Image
from pydicom.pixels.utils import compress
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from benchmarks.intake.files import dataset, saved, with_bytes, written
from benchmarks.intake.inputs.tables import palette_file
from tests.segmenter.formats.build import dicom, dicom_bytes, dicom_dataset, dicom_jpeg, save

HEIGHT, WIDTH = 2000, 3000
# A figure far above what is taken would refuse pictures for nothing.
LARGEST_FACTOR = 3.0
# What the allocator of another version may do otherwise.
SLACK_BYTES = 8 * 2**20

# Decodes a small file of a kind, so that libraries are loaded; then resets the kernel's mark and
# prints what a large one took (with the process that decodes it, if there is one) and what it was
# said to take.
MEASURE = """
import re, resource, sys
from pathlib import Path
from segmenter.formats.decode import read_header
def now(name):
    status = Path("/proc/self/status").read_text()
    return int(re.search(name + r":\\s+(\\d+) kB", status)[1]) * 1024
small, large = (Path(name).read_bytes() for name in sys.argv[1:])
read_header(small).decode()
Path("/proc/self/clear_refs").write_text("5")
before, upload = now("VmRSS"), read_header(large)
upload.decode()
child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print(now("VmHWM") - before + child, upload.working_bytes)
"""

Pixels = npt.NDArray[Any]


def drawn(height: int, width: int) -> Pixels:
    down, right = np.mgrid[0:height, 0:width]
    grey = (right // 8 + down // 8) % 256
    return np.stack([grey, right * 255 // width, down * 255 // height], axis=2).astype(np.uint8)


def turned(name: str) -> Callable[[Pixels], bytes]:
    exif = Image.Exif()
    exif[274] = 6
    return lambda pixels: save(Image.fromarray(pixels), name, exif=exif.tobytes())


def deep(pixels: Pixels, kind: Any = np.uint16) -> Pixels:
    return (pixels[..., 0].astype(kind) * 200 + pixels[..., 1]).astype(kind)


def compressed(pixels: Pixels, syntax: Any) -> bytes:
    dataset = dicom_dataset(pixels)
    compress(dataset, syntax)
    return dicom_bytes(dataset)


def tiff(pixels: Pixels, **options: Any) -> bytes:
    stream = BytesIO()
    colour = options.pop("photometric", "rgb" if 3 in (pixels.shape[0], pixels.shape[-1]) else None)
    tifffile.imwrite(stream, pixels, photometric=colour, **options)
    return stream.getvalue()


def encoded(codec: str, pixels: Pixels, **options: Any) -> bytes:
    return bytes(getattr(imagecodecs, f"{codec}_encode")(pixels, **options))


def heic(pixels: Pixels) -> bytes:
    stream = BytesIO()
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(stream, quality=50)
    return stream.getvalue()


def with_alpha(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.dstack([pixels, np.full(pixels.shape[:2], 200, np.uint8)]))


SIGNED = {"PixelRepresentation": 1}


def float_file(keyword: str, values: Pixels) -> bytes:
    made = dataset(values[..., None].view(np.uint8)[..., 0])
    for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(made, name)
    made.BitsAllocated = 8 * values.itemsize
    setattr(made, keyword, values.tobytes())
    return saved(made)


KINDS: dict[str, Callable[[Pixels], bytes]] = {
    "png": lambda p: save(Image.fromarray(p), "PNG"),
    "png grey": lambda p: save(Image.fromarray(p[..., 0]), "PNG"),
    "png deep": lambda p: save(Image.fromarray(deep(p)), "PNG"),
    "png alpha": lambda p: save(with_alpha(p), "PNG"),
    "png palette": lambda p: save(Image.fromarray(p).quantize(64), "PNG", transparency=3),
    "png turned": turned("PNG"),
    "jpeg": lambda p: save(Image.fromarray(p), "JPEG"),
    "jpeg turned": turned("JPEG"),
    "jpeg progressive": lambda p: save(Image.fromarray(p), "JPEG", progressive=True, subsampling=0),
    "jpeg blank": lambda p: save(Image.fromarray(p * 0), "JPEG", progressive=True, subsampling=0),
    "jpeg cmyk": lambda p: save(Image.fromarray(p).convert("CMYK"), "JPEG", progressive=True),
    "tiff": lambda p: save(Image.fromarray(p), "TIFF", compression="tiff_lzw", strip_size=10**9),
    "tiff float": lambda p: save(Image.fromarray(deep(p, np.float32)), "TIFF"),
    "tiff packed": lambda p: save(
        Image.fromarray(deep(p, np.int32)), "TIFF", compression="tiff_lzw", strip_size=10**9
    ),
    "tiff bits": lambda p: save(
        Image.fromarray(p[..., 0]).convert("1"), "TIFF", compression="group4"
    ),
    "tiff deep colour": lambda p: tiff(p.astype(np.uint16) * 200, compression="zstd"),
    "tiff planes": lambda p: tiff(np.moveaxis(p, 2, 0), planarconfig=2, compression="lzw"),
    "tiff tiles": lambda p: tiff(p, tile=(256, 256), compression="deflate", predictor=2),
    "tiff float64": lambda p: tiff(deep(p, np.float64), rowsperstrip=HEIGHT, compression="lzw"),
    "tiff jpeg": lambda p: tiff(p, tile=(256, 256), compression="jpeg"),
    "tiff jpeg 2000": lambda p: tiff(p, tile=(512, 512), compression="jpeg2000"),
    "tiff channels": lambda p: tiff(np.dstack([p, p]), photometric="minisblack", planarconfig=1),
    "tiff turned": turned("TIFF"),
    "jpeg 2000": lambda p: encoded("jpeg2k", p, level=0),
    "jpeg 2000 deep": lambda p: encoded("jpeg2k", deep(p), level=0),
    "jpeg-ls": lambda p: encoded("jpegls", p),
    "jpeg-ls deep": lambda p: encoded("jpegls", deep(p)),
    "jpeg xl": lambda p: encoded("jpegxl", p, lossless=True, effort=1),
    "jpeg xl deep": lambda p: encoded("jpegxl", deep(p), lossless=True, effort=1),
    "jpeg 12 bits": lambda p: encoded("jpeg8", deep(p) >> 4, bitspersample=12),
    "jpeg lossless": lambda p: encoded("jpeg8", p, lossless=True),
    "heic": heic,
    "avif": lambda p: encoded("avif", p, speed=10),
    "webp": lambda p: save(Image.fromarray(p), "WEBP", method=0),
    "webp alpha": lambda p: save(with_alpha(p), "WEBP", lossless=True, method=0),
    "bmp": lambda p: save(Image.fromarray(p), "BMP"),
    "gif": lambda p: save(Image.fromarray(p).quantize(64), "GIF"),
    "dicom": lambda p: dicom(deep(p)),
    "dicom 32 bits": lambda p: dicom(deep(p, np.int32)),
    "dicom colour": lambda p: dicom(p),
    "dicom ybr": lambda p: dicom(p, PhotometricInterpretation="YBR_FULL"),
    "dicom deep colour": lambda p: dicom(p.astype(np.uint16) * 16, BitsStored=12, HighBit=11),
    "dicom jpeg": lambda p: dicom_jpeg(
        [save(Image.fromarray(p), "JPEG")], p, PhotometricInterpretation="YBR_FULL_422"
    ),
    "dicom jpeg 2000": lambda p: compressed(deep(p), JPEG2000Lossless),
    "dicom jpeg 2000 colour": lambda p: compressed(p, JPEG2000Lossless),
    "dicom run lengths": lambda p: compressed(p, RLELossless),
    "dicom high bit": lambda p: dicom(deep(p) << 1, BitsStored=12, HighBit=12),
    "dicom signed": lambda p: dicom(deep(p) & 0xFFF, BitsStored=12, HighBit=11, **SIGNED),
    "dicom bits": lambda p: with_bytes(
        p[..., 0], np.packbits(p[..., 0] > 99).tobytes(), BitsAllocated=1, BitsStored=1, HighBit=0
    ),
    "dicom halved colours": lambda p: with_bytes(
        p, p[..., :2].tobytes(), PhotometricInterpretation="YBR_FULL_422"
    ),
    "dicom palette": lambda p: palette_file(16, "<u2", 257, indices=p[..., 0]),
    "dicom float": lambda p: float_file("FloatPixelData", deep(p, np.float32)),
    "dicom double": lambda p: float_file("DoubleFloatPixelData", deep(p, np.float64)),
    "dicom deflated": lambda p: written(dataset(p), DeflatedExplicitVRLittleEndian),
    "dicom jpeg progressive": lambda p: dicom_jpeg(
        [save(Image.fromarray(p), "JPEG", progressive=True, subsampling=0)],
        p,
        PhotometricInterpretation="YBR_FULL_422",
    ),
}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads memory from /proc")
@pytest.mark.parametrize("kind", KINDS)
def test_decoding_takes_what_its_header_says(kind: str, tmp_path: Path) -> None:
    paths = [tmp_path / "small", tmp_path / "large"]
    for path, shape in zip(paths, [(40, 60), (HEIGHT, WIDTH)], strict=True):
        path.write_bytes(KINDS[kind](drawn(*shape)))
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = re.fullmatch(r"(\d+) (\d+)\s*", done.stdout)
    assert found is not None
    taken, said = int(found[1]), int(found[2])
    assert taken <= said + SLACK_BYTES, f"{taken >> 20} MiB of {said >> 20}"
    assert said <= LARGEST_FACTOR * taken + SLACK_BYTES, f"{taken >> 20} MiB of {said >> 20}"
