"""Raster files to pixels and pixels to PNG: what Pillow decodes is decoded here.

Values change by these rules only, each named in `DecodedImage.rendering`: deep grey is windowed,
deep colour keeps its high byte, alpha is composited over black (the background of medical
images), CMYK and YCbCr become RGB by Pillow's formula, and the gamma of a PNG is applied to what is
not windowed. Colour profiles are not applied, which is told. Of several pages or frames the first
is taken. A turn by EXIF moves pixels only; it is named all the same.
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
from segmenter.formats.raster.codestreams.header import StreamHeader
from segmenter.formats.raster.codestreams.image import Expected, expect_stream, read_stream
from segmenter.formats.raster.codestreams.size import StreamSize
from segmenter.formats.raster.header import RasterHeader, read_raster_header
from segmenter.formats.raster.jpeg_end import check_end, check_scans, with_end
from segmenter.formats.raster.profile import GAMMA_UNIT, corrected, gamma_exponent, profile_rule
from segmenter.formats.raster.samples import ALPHA, turn_rule
from segmenter.formats.raster.tiff.image import read_samples, read_tiff
from segmenter.formats.sniff import (
    PILLOW_FORMATS,
    STREAM_FORMATS,
    PillowFormat,
    RasterFormat,
    sniff,
)

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
# How a JPEG is coded, by its start-of-frame marker. Pillow decodes sequential and progressive ones
# of 8 bits; lossless and arithmetic ones and those of 12 bits are decoded elsewhere.
_BY_PILLOW, _PROGRESSIVE, _JPEG_LS = frozenset({0xC0, 0xC1, 0xC2}), 0xC2, 0xF7
_HIERARCHICAL = frozenset({0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF})
_ARITHMETIC = frozenset({0xC9, 0xCA, 0xCB})
# Bytes of memory per pixel: four canvases of four channels, ours and what is left of the file's.
_WEBP_BYTES = 18
# Of a JPEG in several scans, whose coefficients are gathered first: four channels of two bytes. It
# may be decoded a second time, to see that it is complete.
_SCANS_BYTES = 17


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
    header = _checked_header(content, by_pillow, limits)
    if name == "jpeg" and (header.process not in _BY_PILLOW or header.bits != 8):
        return _read_other_jpeg(content, header, limits, window)
    decode = partial(_decode, content, by_pillow, header, limits, window)
    return Undecoded(working_bytes(header, by_pillow), decode)


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


def _decode(
    content: bytes,
    name: PillowFormat,
    header: RasterHeader,
    limits: Limits,
    window: Window | None,
) -> DecodedImage:
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
        stored = _grey(content, PILLOW_FORMATS[name], limits)
    else:
        raise UnsupportedImage(f"labels are a PNG or TIFF file, not {name}")
    numbers = stored.astype(np.uint16)
    if not np.array_equal(numbers.astype(stored.dtype), stored):
        raise UnsupportedImage("labels are whole numbers from 0 to 65535")
    return numbers


def _grey(content: bytes, name: PillowFormat, limits: Limits) -> Stored:
    with _opened(content, name, _checked_header(content, name, limits), limits) as image:
        if image.mode not in _GREY:
            raise UnsupportedImage(f"labels are grey, not of colour mode {image.mode!r}")
        return np.asarray(image)


def _grey_tiff(content: bytes, limits: Limits) -> Stored:
    samples, page = read_samples(content, limits)
    if page.meaning.kind != "grey" or samples.shape[2] != 1:
        raise UnsupportedImage("labels are grey, not in colour")
    return samples[:, :, 0]


def _stored_slope(stored: Stored, window: Window | None) -> tuple[Ramp, str | None]:
    """Return the ramp that shows stored numbers, and its rule.

    Raises:
        BrokenImage: no number is finite.
    """
    if window is not None:
        return exact_window(*window), AS_ASKED
    return non_zero_ramp(lambda: cut(stored.ravel()), "pixel")


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


def _checked_header(content: bytes, name: PillowFormat, limits: Limits) -> RasterHeader:
    header = read_raster_header(content, name)
    check_size(header.width, header.height, limits)
    return header


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
