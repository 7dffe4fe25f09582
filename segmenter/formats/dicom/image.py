"""One DICOM image file to one RGB picture.

Of several frames the first is taken and `rendering` says so. Source of the colour rules: PS3.3,
C.7.6.3.1.2 (Photometric Interpretation) and C.7.6.3.1.5 (Palette Color).
"""

import re
from functools import partial

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, convert_color_space

from segmenter.contract import RgbImage
from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.decoded import DecodedImage, Undecoded, Window, join_rules
from segmenter.formats.dicom.burned_in import may_show_name, picture_region
from segmenter.formats.dicom.codestream import check_frame
from segmenter.formats.dicom.gdcm_process import decode_isolated
from segmenter.formats.dicom.grey_pipeline import render_grey
from segmenter.formats.dicom.header import DECODERS, Attributes, add_pixels, read_attributes
from segmenter.formats.dicom.layout import Layout, check_native_length, read_layout
from segmenter.formats.dicom.spacing import read_spacing
from segmenter.formats.grey_levels import HIGH_BYTE, STRIPS_BYTES, Stored, bands, to_rgb
from segmenter.formats.guard import guarded
from segmenter.formats.limits import DEFAULT_LIMITS, MEBIBYTE, Limits

_CODE = re.compile(r"[A-Z]{2,16}")
# The child process with its libraries, before it decodes.
CHILD_BYTES = 64 * MEBIBYTE
_YBR = ("YBR_FULL", "YBR_FULL_422")


def read_dicom_image(
    content: bytes, limits: Limits = DEFAULT_LIMITS, *, window: Window | None = None
) -> Undecoded:
    """Read and check the attributes of a DICOM image, of whose frames the first is taken.

    Args:
        content: the whole file, with preamble and prefix.
        limits: checked on the attributes, before decoding.
        window: grey window in modality units, instead of the file's own.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    attributes = read_attributes(content, limits)
    with guarded("DICOM image"):
        layout = read_layout(attributes.header, limits)
    # The pixel data are copied out of the file.
    needed = len(content) + working_bytes(attributes.header, layout)
    return Undecoded(needed, partial(_decode, attributes, content, layout, window))


def decode_dicom(
    content: bytes, limits: Limits = DEFAULT_LIMITS, *, window: Window | None = None
) -> DecodedImage:
    """Decode the first frame of a DICOM image; see `read_dicom_image`."""
    return read_dicom_image(content, limits, window=window).decode()


def _decode(
    attributes: Attributes, content: bytes, layout: Layout, window: Window | None
) -> DecodedImage:
    with guarded("DICOM image"):
        add_pixels(attributes, content)
        header = attributes.header
        stored, photometric = decode_frame(header, layout)
        pixels, rule = _render(stored, photometric, header, layout, window)
        frame = f"frame 1 of {layout.frames}" if layout.frames > 1 else None
        return DecodedImage(
            pixels=np.ascontiguousarray(pixels),
            format="dicom",
            modality=read_modality(header),
            spacing=read_spacing(header),
            rendering=join_rules(rule, frame),
            may_show_name=may_show_name(header),
            region=picture_region(header, layout),
        )


def working_bytes(header: Dataset, layout: Layout) -> int:
    """Return the memory that decoding and showing a frame takes at its peak, beside the file.

    Source: measured for every transfer syntax, rounded up.
    """
    size = max(1, layout.bits_allocated // 8)
    stored = layout.samples * size
    # Grey levels and three channels of them, through a table of 16 bits; or colour, converted.
    shown = 5 + size if layout.samples == 1 else 6
    syntax = header.file_meta.TransferSyntaxUID
    if DECODERS[syntax] == "gdcm":
        # Exists three times in the child process, and twice here on the way from it.
        shown = max(shown, 4 * stored)
    elif syntax.is_encapsulated:
        # Decoders work in 32 bits a sample.
        shown = max(shown, 4 * layout.samples)
    child = CHILD_BYTES if DECODERS[syntax] == "gdcm" else 0
    return layout.rows * layout.columns * (stored + shown + 1) + STRIPS_BYTES + child


def decode_frame(header: Dataset, layout: Layout, index: int = 0) -> tuple[Stored, str]:
    """Return a frame's stored values, (H, W) or (H, W, 3), and the photometric they are in now.

    Raises:
        BrokenImage, ImageTooLarge.
    """
    syntax = header.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated:
        check_frame(header, layout, index)
    else:
        check_native_length(header, layout)
    if DECODERS[syntax] == "gdcm":
        return decode_isolated(header, layout, index)
    stored, meaning = get_decoder(syntax).as_array(
        header, index=index, raw=True, decoding_plugin=DECODERS[syntax]
    )
    if stored.shape[:2] != (layout.rows, layout.columns):
        raise BrokenImage("the decoded frame has another size than the attributes say")
    return stored, str(meaning["photometric_interpretation"])


def _render(
    stored: Stored, photometric: str, header: Dataset, layout: Layout, window: Window | None
) -> tuple[RgbImage, str]:
    if photometric == "PALETTE COLOR":
        return _through_palette(stored, header), "palette colour"
    if layout.samples == 1:
        inverted = photometric == "MONOCHROME1"
        grey, rule = render_grey(stored, header, inverted=inverted, window=window)
        return to_rgb(grey), rule
    return render_colour(stored, photometric, layout)


def render_colour(stored: Stored, photometric: str, layout: Layout) -> tuple[RgbImage, str]:
    """Return uint8 (H, W, 3), RGB, and the name of the rule.

    Args:
        stored: shape (H, W, 3).
        photometric: they are in.
        layout: for their bits.

    Raises:
        UnsupportedImage.
    """
    if layout.bits_stored > 8:
        if photometric in _YBR or layout.bits_stored > 16:
            raise UnsupportedImage(f"{layout.bits_stored}-bit colour of this kind is not read")
        shift, pixels = layout.bits_stored - 8, np.empty(stored.shape, np.uint8)
        for rows in bands(stored.shape):
            pixels[rows] = np.right_shift(stored[rows].astype(np.uint16), shift).astype(np.uint8)
        return pixels, HIGH_BYTE
    colour = stored.astype(np.uint8, copy=False)
    if photometric not in _YBR:
        return colour, join_rules()
    pixels = np.empty_like(colour)
    for rows in bands(colour.shape):
        pixels[rows] = convert_color_space(colour[rows], photometric, "RGB")
    return pixels, "YBR to RGB"


def _through_palette(stored: Stored, header: Dataset) -> RgbImage:
    """Look stored indices up; those outside the palette take its first or last colour."""
    if "RedPaletteColorLookupTableData" not in header:
        raise UnsupportedImage("a DICOM palette in segments is not read")
    entries, first, bits = header.RedPaletteColorLookupTableDescriptor
    indices = np.arange(first, first + (entries or 2**16), dtype=np.int64)
    colours = apply_color_lut(indices, header)[:, :3]
    # Palettes of 16 bits are shown by their high byte; 8-bit ones may sit in 16-bit words.
    table = (colours >> 8 if bits == 16 and colours.dtype == np.uint16 else colours).astype(
        np.uint8
    )
    pixels = np.empty((*stored.shape, 3), np.uint8)
    for rows in bands(stored.shape):
        index = np.clip(stored[rows].astype(np.int64) - first, 0, len(table) - 1)
        pixels[rows] = table[index]
    return pixels


def read_modality(header: Dataset) -> str | None:
    """Return the modality if it is a code; anything else could be text about a patient."""
    value = header.get("Modality")
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None
