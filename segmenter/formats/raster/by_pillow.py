"""What Pillow decodes, to pixels: PNG, JPEG, WebP, BMP and GIF.

Values change by these rules only, each named in `DecodedImage.rendering`: deep grey is windowed,
deep colour keeps its high byte, alpha is composited over black (the background of medical
images), CMYK and YCbCr become RGB by Pillow's formula, and the gamma of a PNG is applied to what is
not windowed. Colour profiles are not applied, which is told. Of several pages or frames the first
is taken. A turn by EXIF moves pixels only; it is named all the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
from PIL import Image

from segmenter.contract import PixelValues, RgbImage
from segmenter.errors import BrokenImage, ImageTooLarge, UnsupportedImage
from segmenter.formats.decoded import DecodedImage, Window, join_rules
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
from segmenter.formats.limits import Limits, check_size
from segmenter.formats.percentiles import cut, non_zero_ramp
from segmenter.formats.raster.header import RasterHeader, read_raster_header
from segmenter.formats.raster.jpeg_end import check_end, check_scans, with_end
from segmenter.formats.raster.profile import GAMMA_UNIT, corrected, gamma_exponent, profile_rule
from segmenter.formats.raster.samples import ALPHA, turn_rule
from segmenter.formats.sniff import PillowFormat

_DEEP = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I", "F"})
_GREY = _DEEP | {"1", "L"}
_PLAIN = frozenset(
    {"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "RGBA", "RGBa", "LA", "La", "PA"}
)
_FORMULA = {"CMYK": "CMYK to RGB without profile", "YCbCr": "YCbCr to RGB"}

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
# Start-of-frame marker.
_PROGRESSIVE = 0xC2
# Bytes of memory per pixel: four canvases of four channels, ours and what is left of the file's.
_WEBP_BYTES = 18
# Of a JPEG in several scans, whose coefficients are gathered first: four channels of two bytes. It
# may be decoded a second time, to see that it is complete.
_SCANS_BYTES = 17


def checked_header(content: bytes, name: PillowFormat, limits: Limits) -> RasterHeader:
    """Read a header and check the size that it declares; raises BrokenImage, ImageTooLarge."""
    header = read_raster_header(content, name)
    check_size(header.width, header.height, limits)
    return header


def decode_picture(
    content: bytes,
    name: PillowFormat,
    header: RasterHeader,
    limits: Limits,
    window: Window | None,
) -> DecodedImage:
    """Decode the first picture of a file whose header was checked, upright.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    ended = with_end(content) if name == "jpeg" else content
    with _opened(ended, name, header, limits) as image:
        if name == "jpeg":
            check_end(ended, image, suspect=ended is not content)
            if header.process == _PROGRESSIVE:
                check_scans(ended)
        pixels, rendered = render_picture(image, header, window)
    frames = "first frame" if getattr(image, "is_animated", False) else None
    repaired = "end marker added" if ended is not content else None
    rule = join_rules(rendered, frames, repaired)
    return DecodedImage(np.ascontiguousarray(pixels), name, rendering=rule)


def deep_values(
    content: bytes, name: PillowFormat, header: RasterHeader, limits: Limits
) -> PixelValues:
    """Return the stored values of a grey picture of more than 8 bits, upright.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    with _opened(content, name, header, limits) as image:
        turn = _UPRIGHT.get(header.orientation)
        upright = image.transpose(turn) if turn is not None else image
        return PixelValues(_to_array(upright).astype(np.float32), "stored value")


def working_bytes(header: RasterHeader, name: PillowFormat) -> int:
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


def stored_grey(content: bytes, name: PillowFormat, limits: Limits) -> Stored:
    """Return the stored numbers of a grey picture, (H, W); raises UnsupportedImage for colour."""
    with _opened(content, name, checked_header(content, name, limits), limits) as image:
        if image.mode not in _GREY:
            raise UnsupportedImage(f"labels are grey, not of colour mode {image.mode!r}")
        return np.asarray(image)


def render_picture(
    image: Image.Image, header: RasterHeader, window: Window | None = None
) -> tuple[RgbImage, str]:
    """Turn a loaded picture upright and apply the rule for its mode; name all rules.

    Raises:
        BrokenImage: no number is finite.
        UnsupportedImage: another mode.
    """
    _scale_transparency(image, header)
    pixels, rule = _render(image, header, window)
    return pixels, join_rules(rule, turn_rule(header.orientation), profile_rule(header.profile))


def _scale_transparency(image: Image.Image, header: RasterHeader) -> None:
    """Let the grey that is transparent mean what Pillow made of it, from 2 or 4 bits 8."""
    clear = image.info.get("transparency")
    if image.mode == "L" and header.bits in (2, 4) and isinstance(clear, int):
        image.info["transparency"] = clear * 255 // (2**header.bits - 1)


def _render(
    image: Image.Image, header: RasterHeader, window: Window | None
) -> tuple[RgbImage, str | None]:
    turn = _UPRIGHT.get(header.orientation)
    upright = image.transpose(turn) if turn is not None else image
    exponent = gamma_exponent(header.gamma)
    if image.mode in _DEEP:
        # Pillow's own conversion clips 16-bit values at 255 and so turns most of them white.
        stored = _to_array(upright)
        slope, shown = _stored_slope(stored, window)
        grey = in_bands(stored, lambda values: ramp(values, *slope))
        return to_rgb(grey), join_rules(
            shown,
            "gamma of the file not applied" if exponent else None,
            "transparent value shown" if "transparency" in image.info else None,
        )
    if image.mode not in _PLAIN:
        raise UnsupportedImage(f"the colour mode {image.mode!r} is not read")
    applied = f"gamma {header.gamma / GAMMA_UNIT:g} of the file applied" if exponent else None
    deep = HIGH_BYTE if header.bits > 8 else None
    rule = join_rules(deep, _FORMULA.get(image.mode), applied)
    if image.has_transparency_data:
        return _render_alpha(upright, rule, exponent)
    pixels = np.empty((upright.height, upright.width, 3), np.uint8)
    for rows, band in _in_strips(upright):
        colours = np.asarray(band.convert("RGB"))
        pixels[rows] = corrected(colours, exponent) if exponent else colours
    return pixels, rule


def _stored_slope(stored: Stored, window: Window | None) -> tuple[Ramp, str | None]:
    """Return the ramp that shows stored numbers, and its rule.

    Raises:
        BrokenImage: no number is finite.
    """
    if window is not None:
        return exact_window(*window), AS_ASKED
    return non_zero_ramp(lambda: cut(stored.ravel()), "pixel")


def _render_alpha(image: Image.Image, rule: str, exponent: float | None) -> tuple[RgbImage, str]:
    """Composite over black, unless every pixel is opaque anyway."""
    pixels, opaque = np.empty((image.height, image.width, 3), np.uint8), True
    for rows, band in _in_strips(image):
        rgba = np.asarray(band.convert("RGBA"))
        alpha, colours = rgba[:, :, 3:], rgba[:, :, :3]
        colours = corrected(colours, exponent) if exponent else colours
        # Opaque ones come out as they are.
        shaded = colours.astype(np.uint16) * alpha + 127
        pixels[rows] = (shaded // 255).astype(np.uint8)
        opaque = opaque and int(alpha.min()) == 255
    return pixels, rule if opaque else join_rules(rule, ALPHA)


@contextmanager
def _opened(
    content: bytes, name: PillowFormat, header: RasterHeader, limits: Limits
) -> Iterator[Image.Image]:
    """Open and load a picture whose header was checked."""
    # An allow-list: Pillow knows forty formats, some of which run other programs.
    with _reading(name), Image.open(BytesIO(content), formats=(name.upper(),)) as image:
        # What was read of the header decides how much memory there is for it.
        check_size(*image.size, limits)
        if image.width * image.height > header.width * header.height:
            raise BrokenImage(f"a {name} picture that is larger than its header says")
        image.load()
        yield image


@contextmanager
def _reading(name: PillowFormat) -> Iterator[None]:
    """Translate what Pillow raises."""
    with guarded(f"{name} image"):
        try:
            yield
        except Image.DecompressionBombError:
            raise ImageTooLarge("more pixels than the decoder's own limit") from None


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
