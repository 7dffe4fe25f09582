import hashlib
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.uid import JPEG2000Lossless, RLELossless

from segmenter.contract import Spacing
from segmenter.errors import BrokenImage, ImageTooLarge, InputError, UnsupportedImage
from segmenter.formats.decode import decode, describe
from segmenter.formats.decoded import Window
from segmenter.formats.limits import Limits
from tests.paths import ROOT, SHARED
from tests.segmenter.formats.build import (
    PATIENT,
    dicom,
    dicom_bytes,
    dicom_dataset,
    dicom_jpeg,
    picture,
    save,
)

Sample = Callable[[str], bytes]

REFUSALS = {
    "truncated.png": BrokenImage,
    "bad_crc.png": BrokenImage,
    "zip_renamed.png": UnsupportedImage,
    "svg_renamed.png": UnsupportedImage,
    "text_renamed.jpg": UnsupportedImage,
    "empty.png": UnsupportedImage,
    "zero_width.png": BrokenImage,
    "truncated.jpg": BrokenImage,
    "truncated.tif": BrokenImage,
    "bomb_header_60000x60000.png": ImageTooLarge,
    "bomb_valid_1bit_30000x30000.png": ImageTooLarge,
    "dicom_no_pixel_data.dcm": BrokenImage,
    "dicom_short_pixel_data.dcm": BrokenImage,
    "dicom_huge_rows_columns.dcm": ImageTooLarge,
    "dicom_truncated_header.dcm": BrokenImage,
    "dicom_wrong_magic.dcm": UnsupportedImage,
    "truncated.nii.gz": UnsupportedImage,
    "nifti_huge_dims.nii": UnsupportedImage,
    "truncated_no_moov.mp4": UnsupportedImage,
    "truncated.mp4": UnsupportedImage,
    "mp4_header_only.mp4": UnsupportedImage,
}

# Decodes a file under an address-space limit and prints how many KiB the peak grew by.
MEASURE = """
import resource, sys
from pathlib import Path
from segmenter.errors import InputError
from segmenter.formats.decode import decode
content = Path(sys.argv[1]).read_bytes()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))
try:
    decode(content)
except InputError as error:
    print(type(error).__name__, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("name", REFUSALS)
def test_every_broken_sample_is_refused_at_once_and_in_silence(
    sample: Sample, name: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    content = sample(f"broken/{name}")
    caplog.set_level(logging.DEBUG)
    start = time.perf_counter()
    with pytest.raises(REFUSALS[name]) as caught:
        decode(content)
    assert time.perf_counter() - start < 2
    assert type(caught.value) is REFUSALS[name]
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_every_broken_sample_is_listed_here() -> None:
    folder = SHARED / "samples" / "broken"
    if not folder.exists():
        pytest.skip(f"no sample folder {folder} (set MEDSAM3_SHARED)")
    assert {path.name for path in folder.iterdir()} == {*REFUSALS, "dicom_no_preamble.dcm"}


@pytest.mark.parametrize(
    "name",
    [
        "bomb_valid_1bit_30000x30000.png",
        "dicom_huge_rows_columns.dcm",
        "dicom_short_pixel_data.dcm",
    ],
)
def test_a_bomb_costs_no_memory(sample: Sample, name: str) -> None:
    sample(f"broken/{name}")
    path = SHARED / "samples" / "broken" / name
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=ROOT,
    )
    error, grown_kib = done.stdout.split()
    assert error == REFUSALS[name].__name__
    assert int(grown_kib) < 20 * 1024


def test_every_image_sample_opens(sample: Sample) -> None:
    folder = SHARED / "samples"
    names = sorted((folder / "images").glob("*")) + sorted((folder / "dicom").rglob("*.dcm"))
    if not names:
        pytest.skip(f"no sample files in {folder} (set MEDSAM3_SHARED)")
    for path in names:
        if path.name.endswith("_SEG.dcm"):
            continue
        decoded = decode(path.read_bytes())
        assert decoded.pixels.ndim == 3, path.name
        assert decoded.pixels.dtype == np.uint8, path.name
        assert decoded.pixels.size == 3 or np.ptp(decoded.pixels) > 0, path.name


def test_a_reference_holds_the_digest_and_what_was_decoded() -> None:
    content = dicom(np.eye(8, dtype=np.uint8), Modality="MG", ImagerPixelSpacing=["0.1", "0.2"])
    reference = describe(content, decode(content))
    assert reference.sha256 == hashlib.sha256(content).hexdigest()
    assert (reference.width, reference.height) == (8, 8)
    assert (reference.format, reference.modality) == ("dicom", "MG")
    assert reference.spacing == Spacing(row_mm=0.1, column_mm=0.2, source="ImagerPixelSpacing")
    assert reference.rendering == "identity"
    assert PATIENT not in reference.model_dump_json()


def test_the_size_is_that_of_the_upright_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = save(Image.fromarray(picture(24, 40)), "jpeg", exif=exif.tobytes())
    reference = describe(content, decode(content))
    assert (reference.width, reference.height) == (24, 40)


def test_the_byte_limit_comes_before_everything_else() -> None:
    with pytest.raises(ImageTooLarge, match="bytes"):
        decode(b"no image at all", Limits(max_bytes=5))


def test_the_window_reaches_both_kinds_of_reader() -> None:
    stored = np.array([[0, 500, 1000]], np.uint16)
    for content in (save(Image.fromarray(stored), "png"), dicom(stored)):
        decoded = decode(content, window=Window(500, 1000))
        assert decoded.pixels[0, :, 0].tolist() == [0, 128, 255]


def tiffs() -> Iterator[bytes]:
    """Small TIFFs of what only their own reader decodes."""
    variants: tuple[dict[str, Any], ...] = (
        {"tile": (16, 16), "compression": "jpeg2000"},
        {"tile": (16, 16), "compression": "webp"},
        {"compression": "zstd", "predictor": 2},
        {"planarconfig": "separate", "compression": "lzw"},
    )
    for options in variants:
        stream = BytesIO()
        pixels = picture(32, 32)
        if "planarconfig" in options:
            pixels = np.moveaxis(pixels, 2, 0).copy()
        tifffile.imwrite(stream, pixels, photometric="rgb", **options)
        yield stream.getvalue()


@cache
def valid_files() -> tuple[bytes, ...]:
    """One small valid file of every kind."""
    image = Image.fromarray(picture(32, 32))
    exif = Image.Exif()
    exif[0x0112] = 6
    rasters = [save(image, name) for name in ("png", "tiff", "bmp", "gif", "webp", "jpeg")]
    variants = [
        save(image, "jpeg", exif=exif.tobytes(), progressive=True),
        save(image, "tiff", compression="tiff_lzw"),
        save(image, "tiff", compression="jpeg"),
        save(Image.fromarray(np.eye(16, dtype=np.uint16) * 900), "png"),
        save(image.convert("P"), "png"),
        *tiffs(),
    ]
    deep = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    packed = []
    for syntax in (RLELossless, JPEG2000Lossless):
        dataset = dicom_dataset(deep)
        dataset.compress(syntax, deep, generate_instance_uid=False)
        packed.append(dicom_bytes(dataset))
    inner = dicom_jpeg(
        [save(image, "jpeg")], picture(32, 32), PhotometricInterpretation="YBR_FULL_422"
    )
    plain = dicom(deep[:16], WindowCenter="40", WindowWidth="400", PixelSpacing=["1", "1"])
    return (*rasters, *variants, *packed, inner, plain)


@st.composite
def mutated_files(draw: st.DrawFn) -> bytes:
    """A valid file with some bytes changed, and perhaps its end cut off."""
    content = bytearray(draw(st.sampled_from(valid_files())))
    # Headers are where damage does most; half of the changes go there.
    position = st.one_of(st.integers(0, 400), st.integers(0, len(content) - 1))
    for _ in range(draw(st.integers(1, 8))):
        at = draw(position) % len(content)
        content[at] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
    keep = draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    return bytes(content[:keep])


@settings(max_examples=400, deadline=5000, suppress_health_check=[HealthCheck.too_slow])
@given(mutated_files())
def test_damage_raises_our_errors_or_gives_a_picture_and_nothing_else(content: bytes) -> None:
    try:
        decoded = decode(content, Limits(max_pixels=1_000_000))
    except InputError:
        return
    assert decoded.pixels.ndim == 3
    assert decoded.pixels.dtype == np.uint8


@given(st.binary(max_size=400))
def test_noise_is_refused(content: bytes) -> None:
    with pytest.raises(InputError):
        decode(content)
