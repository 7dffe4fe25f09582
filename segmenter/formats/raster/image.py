"""Raster files to pixels and pixels to PNG: the only codec module that knows Pillow.

Values change by these rules only, each named in `DecodedImage.rendering`: deep grey is windowed,
deep colour keeps its high byte, alpha is composited over black (the background of medical
images), CMYK and YCbCr become RGB by Pillow's formula. Colour profiles are not applied. Of several
pages or frames the first is taken. A turn by EXIF moves pixels only; it is named all the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from segmenter.contract import BinaryMask, RgbImage
from segmenter.errors import BrokenImage, ImageTooLarge, UnsupportedImage
from segmenter.formats.decoded import DecodedImage, Undecoded, Window, join_rules
from segmenter.formats.grey_levels import (
    AS_ASKED,
    BAND_VALUES,
    HIGH_BYTE,
    STRIPS_BYTES,
    Ramp,
    Stored,
    bands,
    exact_window,
    in_bands,
    ramp,
    to_rgb,
)
from segmenter.formats.guard import guarded
from segmenter.formats.limits import (
    DEFAULT_LIMITS,
    Limits,
    check_bytes,
    check_size,
)
from segmenter.formats.percentiles import cut, non_zero_ramp
from segmenter.formats.raster.header import RasterHeader, read_raster_header
from segmenter.formats.raster.jpeg_end import check_end
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
# Bytes of memory per pixel: four canvases of four channels, ours and what is left of the file's.
_WEBP_BYTES = 18
# Of a JPEG in several scans, whose coefficients are gathered first: four channels of two bytes. It
# may be decoded a second time, to see that it is complete.
_SCANS_BYTES = 17
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0


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
    header = _checked_header(content, name, limits)
    return Undecoded(
        working_bytes(header, name), partial(_decode, content, name, header, limits, window)
    )


def decode_raster(
    content: bytes,
    name: RasterFormat,
    limits: Limits = DEFAULT_LIMITS,
    *,
    window: Window | None = None,
) -> DecodedImage:
    """Decode the first picture of a raster file, upright; see `read_raster`."""
    return read_raster(content, name, limits, window=window).decode()


def _decode(
    content: bytes,
    name: RasterFormat,
    header: RasterHeader,
    limits: Limits,
    window: Window | None,
) -> DecodedImage:
    with _opened(content, name, header, limits) as image:
        pixels, rendered = _render(image, header, window)
    pages = f"page 1 of {header.pages}" if header.pages > 1 else None
    frames = "first frame" if name != "tiff" and getattr(image, "is_animated", False) else None
    turned = f"turned by EXIF orientation {header.orientation}" if header.orientation > 1 else None
    rule = join_rules(rendered, turned, pages, frames)
    return DecodedImage(np.ascontiguousarray(pixels), name, rendering=rule)


def working_bytes(header: RasterHeader, name: RasterFormat) -> int:
    """Return the memory that decoding a picture takes at its peak; see `Undecoded`.

    Source: measured with Pillow 12 for every kind of file, the largest of its kind rounded up.
    """
    if name == "webp":
        each = _WEBP_BYTES
    elif header.bits > 8:
        # Stored twice (by Pillow and as numbers), then grey, then three channels.
        each = 2 * (2 if name == "png" else 4) + 5
    else:
        # By Pillow in four channels, then three of ours; what may be transparent takes more.
        each = 9
    if header.scans > 1:
        each = max(each, _SCANS_BYTES)
    turned = 4 if header.orientation > 1 else 0
    return header.width * header.height * (each + turned) + STRIPS_BYTES


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
    with _opened(content, name, _checked_header(content, name, limits), limits) as image:
        if image.mode not in _GREY:
            raise UnsupportedImage(f"labels are grey, not of colour mode {image.mode!r}")
        stored = np.asarray(image)
    numbers = stored.astype(np.uint16)
    if not np.array_equal(numbers.astype(stored.dtype), stored):
        raise UnsupportedImage("labels are whole numbers from 0 to 65535")
    return numbers


class TiffPages:
    """The stored numbers of all pages of a grey TIFF, each decoded when it is asked for."""

    def __init__(self, content: bytes, limits: Limits) -> None:
        """Open and decode all pages once.

        Raises:
            BrokenImage, ImageTooLarge.
            UnsupportedImage: colour, or pages of different sizes.
        """
        self.count = read_raster_header(content, "tiff").pages
        with _reading("tiff"):
            # Stays open: it reads from memory.
            self._image = Image.open(BytesIO(content), formats=("TIFF",))
            self.height, self.width = self._decoded(0, limits).shape
            dtypes = {self._alike(number, limits) for number in range(self.count)}
        self.dtype = np.result_type(*dtypes)

    def __getitem__(self, index: int) -> Stored:
        """Return a page as it is stored, of one number type for all, shape (H, W), upright."""
        with _reading("tiff"):
            page: Stored = self._decoded(index, None).astype(self.dtype, copy=False)
        return page

    def pieces(self) -> Iterator[Stored]:
        """Go through all stored numbers, each piece shape (N,)."""
        for number in range(self.count):
            yield from cut(self[number].ravel())

    def _alike(self, number: int, limits: Limits) -> np.dtype[np.number]:
        """Decode a page; return its number type."""
        page = self._decoded(number, limits)
        if page.shape != (self.height, self.width):
            raise UnsupportedImage("the pages of the TIFF are of different sizes")
        return page.dtype

    def _decoded(self, number: int, limits: Limits | None) -> Stored:
        image = self._image
        image.seek(number)
        if limits is not None:
            check_size(*image.size, limits)
        if image.mode not in _GREY:
            raise UnsupportedImage("a TIFF of several pages in colour is not read")
        if _is_inverted(image):
            raise UnsupportedImage("a TIFF of several deep pages with white as zero is not read")
        page: Stored = np.array(image.convert("L") if image.mode == "1" else image)
        return page


def _stored_slope(stored: Stored, window: Window | None) -> tuple[Ramp, str | None]:
    """Return the ramp that shows stored numbers, and its rule.

    Raises:
        BrokenImage: no number is finite.
    """
    if window is not None:
        return exact_window(*window), AS_ASKED
    return non_zero_ramp(lambda: cut(stored.ravel()), "pixel")


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


def _checked_header(content: bytes, name: RasterFormat, limits: Limits) -> RasterHeader:
    header = read_raster_header(content, name)
    check_size(header.width, header.height, limits)
    return header


@contextmanager
def _opened(
    content: bytes, name: RasterFormat, header: RasterHeader, limits: Limits
) -> Iterator[Image.Image]:
    """Open and load a picture whose header was checked."""
    # An allow-list: Pillow knows forty formats, some of which run other programs.
    with _reading(name), Image.open(BytesIO(content), formats=(name.upper(),)) as image:
        # What was read of the header decides how much memory there is for it.
        check_size(*image.size, limits)
        if image.width * image.height > header.width * header.height:
            raise BrokenImage(f"a {name} picture that is larger than its header says")
        image.load()
        if name == "jpeg":
            check_end(content, image)
        yield image


@contextmanager
def _reading(name: RasterFormat) -> Iterator[None]:
    """Translate what Pillow raises."""
    with guarded(f"{name} image"):
        try:
            yield
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
        stored = _to_array(upright)
        slope, shown = _stored_slope(stored, window)
        grey = in_bands(stored, lambda values: ramp(values, *slope), inverted=inverted)
        return to_rgb(grey), join_rules(shown, "inverted (white is zero)" * inverted)
    if image.mode not in _PLAIN:
        raise UnsupportedImage(f"the colour mode {image.mode!r} is not read")
    rule = join_rules(HIGH_BYTE if header.bits > 8 else None, _FORMULA.get(image.mode))
    if image.has_transparency_data:
        return _render_alpha(upright, rule)
    pixels = np.empty((upright.height, upright.width, 3), np.uint8)
    for rows, band in _in_strips(upright):
        pixels[rows] = np.asarray(band.convert("RGB"))
    return pixels, rule


def _to_array(image: Image.Image) -> Stored:
    """Copy stored numbers; whole, Pillow would hold them three times."""
    strips = _in_strips(image)
    rows, band = next(strips)
    first = np.asarray(band)
    stored = np.empty((image.height, image.width), first.dtype)
    stored[rows] = first
    for rows, band in strips:
        stored[rows] = np.asarray(band)
    return stored


def _in_strips(image: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    """Cut a picture into strips of rows, so that what is made of it exists once."""
    if image.width * image.height <= BAND_VALUES:
        yield slice(0, image.height), image
        return
    for rows in bands((image.height, image.width)):
        yield rows, image.crop((0, rows.start, image.width, rows.stop))


def _is_inverted(image: Image.Image) -> bool:
    """Tell whether deep grey is stored with white as 0 (Pillow turns only 8 bits and less)."""
    tags = getattr(image, "tag_v2", {})
    return image.mode in _DEEP and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def _render_alpha(image: Image.Image, rule: str) -> tuple[RgbImage, str]:
    """Composite over black, unless every pixel is opaque anyway."""
    pixels, opaque = np.empty((image.height, image.width, 3), np.uint8), True
    for rows, band in _in_strips(image):
        rgba = np.asarray(band.convert("RGBA"))
        alpha = rgba[:, :, 3:]
        # Opaque ones come out as they are.
        shaded = rgba[:, :, :3].astype(np.uint16) * alpha + 127
        pixels[rows] = (shaded // 255).astype(np.uint8)
        opaque = opaque and int(alpha.min()) == 255
    return pixels, rule if opaque else join_rules(rule, _ALPHA)
