"""Files that are small to send and large to decode, all valid, made within seconds."""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import nibabel
import numpy as np
from PIL import Image

from tests.segmenter.formats.build import dicom, save

# Deflated once and repeated: zeros are the same wherever they are.
BLOCK_BYTES = 16 * 2**20
LARGEST = (5000, 8000)


def nifti_of_zeros(shape: tuple[int, int, int], zooms: tuple[float, float, float]) -> bytes:
    """A ``.nii.gz`` of float64 that inflates to a thousand times its size."""
    blank = np.broadcast_to(np.float64(0), shape)
    image: Any = nibabel.Nifti1Image(blank, np.diag([*zooms, 1.0]))
    stream = BytesIO()
    image.update_header()
    image.header.write_to(stream)
    return b"".join(_gzipped(stream.getvalue(), int(np.prod(shape)) * 8))


def _gzipped(head: bytes, zeros: int) -> Iterator[bytes]:
    """Yield a gzip file of some bytes and then zeros."""
    block = bytes(BLOCK_BYTES)
    crc = zlib.crc32(head)
    yield b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    yield _deflated(head)
    repeated = _deflated(block)
    for start in range(0, zeros, BLOCK_BYTES):
        size = min(BLOCK_BYTES, zeros - start)
        crc = zlib.crc32(block[:size], crc)
        yield repeated if size == BLOCK_BYTES else _deflated(block[:size])
    yield zlib.compressobj(wbits=-15).flush()
    yield struct.pack("<II", crc, (len(head) + zeros) % 2**32)


def _deflated(content: bytes) -> bytes:
    stream = zlib.compressobj(9, wbits=-15)
    return stream.compress(content) + stream.flush(zlib.Z_FULL_FLUSH)


def large_picture(kind: str, number: int) -> bytes:
    """A picture of 40 megapixels; every `number` another one."""
    height, width = LARGEST
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[1000:3000, 2000:5000] = 200
    pixels[0, 0, 0] = number
    if kind == "png":
        return save(Image.fromarray(pixels), "PNG", compress_level=1)
    if kind == "jpeg":
        return save(Image.fromarray(pixels), "JPEG", progressive=True, quality=60 + number)
    if kind == "webp":
        return save(Image.fromarray(pixels), "WEBP", quality=20, method=0)
    deep = pixels[..., 0].astype(np.float32) + number
    return save(Image.fromarray(deep), "TIFF", compression="tiff_deflate")


def many_pages(count: int) -> bytes:
    """A TIFF of deep pages of 4 megapixels."""
    page = Image.fromarray(np.zeros((2000, 2000), np.uint16))
    return save(
        page, "TIFF", compression="tiff_deflate", save_all=True, append_images=[page] * count
    )


def many_frames(count: int) -> bytes:
    """A DICOM file of frames of 1 megapixel."""
    return dicom(np.zeros((count, 1000, 1000), np.uint16), NumberOfFrames=count)


def zipped_series(count: int) -> bytes:
    """A ZIP of DICOM slices of half a megabyte, all zeros."""
    stream, blank = BytesIO(), np.zeros((512, 512), np.uint16)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(count):
            place = [0.0, 0.0, 3.0 * number]
            archive.writestr(
                f"{number}.dcm",
                dicom(
                    blank,
                    ImagePositionPatient=place,
                    ImageOrientationPatient=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
                    PixelSpacing=[1.0, 1.0],
                ),
            )
    return stream.getvalue()
