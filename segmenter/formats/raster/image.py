"""Raster files to pixels, and pixels to PNG: which reader a file is for, masks and labels."""

from functools import partial
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from segmenter.contract import BinaryMask
from segmenter.errors import UnsupportedImage
from segmenter.formats.decoded import DecodedImage, Undecoded, Window, join_rules
from segmenter.formats.grey_levels import Stored
from segmenter.formats.limits import DEFAULT_LIMITS, Limits, check_bytes
from segmenter.formats.raster.by_pillow import (
    checked_header,
    decode_picture,
    deep_values,
    stored_grey,
    working_bytes,
)
from segmenter.formats.raster.codestreams.header import StreamHeader
from segmenter.formats.raster.codestreams.image import Expected, expect_stream, read_stream
from segmenter.formats.raster.codestreams.size import StreamSize
from segmenter.formats.raster.header import RasterHeader
from segmenter.formats.raster.profile import profile_rule
from segmenter.formats.raster.tiff.image import read_samples, read_tiff
from segmenter.formats.sniff import (
    PILLOW_FORMATS,
    STREAM_FORMATS,
    RasterFormat,
    sniff,
)

# How a JPEG is coded, by its start-of-frame marker. Pillow decodes sequential and progressive ones
# of 8 bits; lossless and arithmetic ones and those of 12 bits are decoded elsewhere.
_BY_PILLOW, _JPEG_LS = frozenset({0xC0, 0xC1, 0xC2}), 0xF7
_HIERARCHICAL = frozenset({0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF})
_ARITHMETIC = frozenset({0xC9, 0xCA, 0xCB})


def read_raster(
    content: bytes,
    name: RasterFormat,
    limits: Limits = DEFAULT_LIMITS,
    *,
    window: Window | None = None,
) -> Undecoded:
    """Read and check the header of a raster file.

    Args:
        content: the whole file.
        name: its format, as sniffed.
        limits: checked on the header, before decoding.
        window: grey window for 16-bit and float images, instead of percentiles.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    if name == "tiff":
        return read_tiff(content, limits, window=window)
    if name in STREAM_FORMATS:
        return read_stream(content, STREAM_FORMATS[name], limits, window=window)
    by_pillow = PILLOW_FORMATS[name]
    header = checked_header(content, by_pillow, limits)
    if name == "jpeg" and (header.process not in _BY_PILLOW or header.bits != 8):
        return _read_other_jpeg(content, header, limits, window)
    decode = partial(decode_picture, content, by_pillow, header, limits, window)
    is_deep = header.bits > 8 and header.channels == 1
    values = partial(deep_values, content, by_pillow, header, limits) if is_deep else None
    return Undecoded(working_bytes(header, by_pillow), decode, values)


def _read_other_jpeg(
    content: bytes, header: RasterHeader, limits: Limits, window: Window | None
) -> Undecoded:
    """Read a JPEG that Pillow does not."""
    if header.process == _JPEG_LS:
        return read_stream(content, "jpeg-ls", limits, window=window)
    if header.process in _HIERARCHICAL:
        raise UnsupportedImage("hierarchical JPEG is not read: export it as PNG")
    size = StreamSize(header.width, header.height, header.channels, header.bits)
    expected = Expected(
        "jpeg-arithmetic" if header.process in _ARITHMETIC else "jpeg",
        StreamHeader(size, alpha=False),
        header.orientation,
        join_rules(profile_rule(header.profile)),
    )
    return expect_stream(content, "jpeg", expected, limits, window)


def decode_raster(
    content: bytes,
    name: RasterFormat,
    limits: Limits = DEFAULT_LIMITS,
    *,
    window: Window | None = None,
) -> DecodedImage:
    """Decode the first picture of a raster file, upright; see `read_raster`."""
    return read_raster(content, name, limits, window=window).decode()


def decode_mask_png(content: bytes, limits: Limits = DEFAULT_LIMITS) -> BinaryMask:
    """Decode a mask file (PNG or GIF, 1 or 8 bit): bool, shape (H, W), True where not black.

    Raises:
        BrokenImage, ImageTooLarge.
        UnsupportedImage: another format.
    """
    check_bytes(content, limits)
    name = sniff(content)
    if name not in ("png", "gif"):
        raise UnsupportedImage(f"a mask is a PNG or GIF file, not {name}")
    pixels = decode_raster(content, name, limits).pixels
    inside: BinaryMask = pixels.max(axis=2) > 0
    return inside


def read_labels(content: bytes, limits: Limits = DEFAULT_LIMITS) -> npt.NDArray[np.uint16]:
    """Read a grey picture's stored numbers, not windowed: uint16, shape (H, W), as stored.

    Raises:
        BrokenImage, ImageTooLarge.
        UnsupportedImage: no raster file, colour, or numbers that are not whole and in 0..65535.
    """
    check_bytes(content, limits)
    name = sniff(content)
    if name == "tiff":
        stored = _grey_tiff(content, limits)
    elif name in PILLOW_FORMATS:
        stored = stored_grey(content, PILLOW_FORMATS[name], limits)
    else:
        raise UnsupportedImage(f"labels are a PNG or TIFF file, not {name}")
    numbers = stored.astype(np.uint16)
    if not np.array_equal(numbers.astype(stored.dtype), stored):
        raise UnsupportedImage("labels are whole numbers from 0 to 65535")
    return numbers


def _grey_tiff(content: bytes, limits: Limits) -> Stored:
    samples, page = read_samples(content, limits)
    if page.meaning.kind != "grey" or samples.shape[2] != 1:
        raise UnsupportedImage("labels are grey, not in colour")
    return samples[:, :, 0]


def encode_mask_png(mask: BinaryMask) -> bytes:
    """Encode a mask as 8-bit grey PNG: 255 inside, 0 outside.

    Args:
        mask: bool, shape (H, W).
    """
    return encode_png(mask.astype(np.uint8) * np.uint8(255))


def encode_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encode a picture as PNG that holds pixels and nothing else (no EXIF, no comment).

    Args:
        pixels: uint8, shape (H, W, 3), RGB, or (H, W), grey.
    """
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()
