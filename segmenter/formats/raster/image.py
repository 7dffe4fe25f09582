"""Raster files to pixels and pixels to PNG: the only codec module that knows Pillow.

Values change by these rules only, each named in `DecodedImage.rendering`: deep grey is windowed,
deep colour keeps its high byte, alpha is composited over black (the background of medical
images), CMYK and YCbCr become RGB by Pillow's formula. Colour profiles are not applied. Of several
pages or frames the first is taken. A turn by EXIF moves pixels only; it is named all the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from segmenter.contract import BinaryMask, RgbImage
from segmenter.errors import BrokenImage, ImageTooLarge, UnsupportedImage
from segmenter.formats.decoded import DecodedImage, Window, join_rules
from segmenter.formats.grey_levels import (
    AS_ASKED,
    HIGH_BYTE,
    Ramp,
    Stored,
    bands,
    exact_window,
    in_bands,
    non_zero_ramp,
    ramp,
    to_rgb,
)
from segmenter.formats.guard import guarded
from segmenter.formats.limits import DEFAULT_LIMITS, Limits, check_bytes, check_size
from segmenter.formats.raster.header import RasterHeader, read_raster_header
from segmenter.formats.sniff import RasterFormat, sniff

_DEEP = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I", "F"})
_GREY = _DEEP | {"1", "L"}
_PLAIN = frozenset(
    {"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "RGBA", "RGBa", "LA", "La", "PA"}
)
_FORMULA = {"CMYK": "CMYK to RGB without profile", "YCbCr": "YCbCr to RGB"}
_ALPHA = "alpha over black"

# EXIF orientation to the turn that puts the picture upright. Source: EXIF 2.32, tag 0x0112.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNED_BY_PILLOW = "TIFF"
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0


def decode_raster(
    content: bytes,
    name: RasterFormat,
    limits: Limits = DEFAULT_LIMITS,
    *,
    window: Window | None = None,
) -> DecodedImage:
    """Decode the first picture of a raster file, upright.

    Args:
        content: the whole file.
        name: its format, as sniffed.
        limits: checked on the header, before decoding.
        window: grey window for 16-bit and float images, instead of percentiles.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    with _opened(content, name, limits) as (image, header):
        pixels, rendered = _render(image, header, window)
    pages = f"page 1 of {header.pages}" if header.pages > 1 else None
    frames = "first frame" if name != "tiff" and getattr(image, "is_animated", False) else None
    turned = f"turned by EXIF orientation {header.orientation}" if header.orientation > 1 else None
    rule = join_rules(rendered, turned, pages, frames)
    return DecodedImage(np.ascontiguousarray(pixels), name, rendering=rule)


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
    if name == "dicom":
        raise UnsupportedImage("labels are a raster file, not dicom")
    with _opened(content, name, limits) as (image, _):
        if image.mode not in _GREY:
            raise UnsupportedImage(f"labels are grey, not of colour mode {image.mode!r}")
        stored = np.asarray(image)
    numbers = stored.astype(np.uint16)
    if not np.array_equal(numbers.astype(stored.dtype), stored):
        raise UnsupportedImage("labels are whole numbers from 0 to 65535")
    return numbers


def read_pages(content: bytes, limits: Limits) -> list[Stored]:
    """Read the stored numbers of all pages of a grey TIFF, each shape (H, W), upright.

    Raises:
        BrokenImage, ImageTooLarge.
        UnsupportedImage: colour.
    """
    pages = []
    with _opened(content, "tiff", limits) as (image, header):
        for number in range(header.pages):
            image.seek(number)
            check_size(*image.size, limits)
            if image.mode not in _GREY:
                raise UnsupportedImage("a TIFF of several pages in colour is not read")
            if _is_inverted(image):
                raise UnsupportedImage(
                    "a TIFF of several deep pages with white as zero is not read"
                )
            pages.append(np.array(image.convert("L") if image.mode == "1" else image))
    return pages


def stored_slope(stored: Stored, window: Window | None) -> tuple[Ramp, str | None]:
    """Return the ramp that shows stored numbers, and its rule; 8-bit ones stay as they are.

    Raises:
        BrokenImage: no number is finite.
    """
    if stored.dtype == np.uint8 and window is None:
        return Ramp(0.0, 255.0), None
    finite = stored[np.isfinite(stored)]
    if finite.size == 0:
        raise BrokenImage("no pixel has a finite value")
    return (exact_window(*window), AS_ASKED) if window is not None else non_zero_ramp(finite)


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


@contextmanager
def _opened(
    content: bytes, name: RasterFormat, limits: Limits
) -> Iterator[tuple[Image.Image, RasterHeader]]:
    """Check, open, load and turn upright."""
    header = read_raster_header(content, name)
    check_size(header.width, header.height, limits)
    with guarded(f"{name} image"):
        try:
            # An allow-list: Pillow knows forty formats, some of which run other programs.
            with Image.open(BytesIO(content), formats=(name.upper(),)) as image:
                # A GIF's first frame may be larger than its header says.
                check_size(*image.size, limits)
                image.load()
                yield image, header
        except Image.DecompressionBombError:
            raise ImageTooLarge("more pixels than the decoder's own limit") from None


def _render(
    image: Image.Image, header: RasterHeader, window: Window | None
) -> tuple[RgbImage, str | None]:
    """Turn upright and apply the rule for the image's mode."""
    inverted = _is_inverted(image)
    turn = None if image.format == _TURNED_BY_PILLOW else _UPRIGHT.get(header.orientation)
    upright = image.transpose(turn) if turn is not None else image
    if image.mode in _DEEP:
        # Pillow's own conversion clips 16-bit values at 255 and so turns most of them white.
        stored = np.asarray(upright)
        slope, shown = stored_slope(stored, window)
        grey = in_bands(stored, lambda values: ramp(values, *slope), inverted=inverted)
        return to_rgb(grey), join_rules(shown, "inverted (white is zero)" * inverted)
    if image.mode not in _PLAIN:
        raise UnsupportedImage(f"the colour mode {image.mode!r} is not read")
    rule = join_rules(HIGH_BYTE if header.bits > 8 else None, _FORMULA.get(image.mode))
    if image.has_transparency_data:
        return _render_alpha(upright, rule)
    return np.asarray(upright.convert("RGB")), rule


def _is_inverted(image: Image.Image) -> bool:
    """Tell whether deep grey is stored with white as 0 (Pillow turns only 8 bits and less)."""
    tags = getattr(image, "tag_v2", {})
    return image.mode in _DEEP and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def _render_alpha(image: Image.Image, rule: str) -> tuple[RgbImage, str]:
    """Composite over black, unless every pixel is opaque anyway."""
    rgba = np.asarray(image.convert("RGBA"))
    colour, alpha = rgba[:, :, :3], rgba[:, :, 3:]
    if alpha.min() == 255:
        return colour, rule
    pixels = np.empty_like(colour)
    for rows in bands(colour.shape):
        shaded = colour[rows].astype(np.uint16) * alpha[rows] + 127
        pixels[rows] = (shaded // 255).astype(np.uint8)
    return pixels, join_rules(rule, _ALPHA)
