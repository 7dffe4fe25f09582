"""One DICOM image file to one RGB picture.

Of several frames the first is taken and `rendering` says so. Source of the colour rules: PS3.3,
C.7.6.3.1.2 (Photometric Interpretation) and C.7.6.3.1.5 (Palette Color).
"""

import re
from functools import partial

import numpy as np
from pydicom.dataset import Dataset

from segmenter.contract import PixelValues, RgbImage
from segmenter.formats.decoded import DecodedImage, Undecoded, Window, join_rules
from segmenter.formats.dicom.burned_in import may_show_name, picture_region
from segmenter.formats.dicom.colour import render_colour
from segmenter.formats.dicom.encoded.decode import DECODERS, GDCM, decode_encoded
from segmenter.formats.dicom.grey_pipeline import is_inverted, render_grey
from segmenter.formats.dicom.header import Attributes, add_pixels, read_attributes
from segmenter.formats.dicom.layout import Layout, is_tiled, read_layout
from segmenter.formats.dicom.lookup_tables import through_palette
from segmenter.formats.dicom.native import native_frame, stored_values
from segmenter.formats.dicom.pixel_values import pixel_values
from segmenter.formats.dicom.spacing import read_spacing
from segmenter.formats.dicom.values import PYDICOM_ERRORS
from segmenter.formats.grey_levels import STRIPS_BYTES, Stored, to_rgb
from segmenter.formats.guard import guarded
from segmenter.formats.limits import DEFAULT_LIMITS, MEBIBYTE, Limits

_CODE = re.compile(r"[A-Z]{2,16}")
# The child process with its libraries, before it decodes.
CHILD_BYTES = 64 * MEBIBYTE
PALETTE = "PALETTE COLOR"


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
    with guarded("DICOM image", *PYDICOM_ERRORS):
        layout = read_layout(attributes.header, limits)
    # The pixel data are copied out of the file.
    needed = attributes.size + working_bytes(attributes.header, layout)
    decode = partial(_decode, attributes, content, layout, window, limits)
    is_grey = layout.samples == 1 and layout.photometric != PALETTE
    values = partial(_read_values, attributes, content, layout, limits) if is_grey else None
    return Undecoded(needed, decode, values)


def decode_dicom(
    content: bytes, limits: Limits = DEFAULT_LIMITS, *, window: Window | None = None
) -> DecodedImage:
    """Decode the first frame of a DICOM image; see `read_dicom_image`."""
    return read_dicom_image(content, limits, window=window).decode()


def _decode(
    attributes: Attributes,
    content: bytes,
    layout: Layout,
    window: Window | None,
    limits: Limits,
) -> DecodedImage:
    with guarded("DICOM image", *PYDICOM_ERRORS):
        add_pixels(attributes, content, limits)
        header = attributes.header
        stored, photometric = decode_frame(header, layout)
        pixels, rule = _render(stored, photometric, header, layout, window)
        name = "tile" if is_tiled(header, layout) else "frame"
        frame = f"{name} 1 of {layout.frames}" if layout.frames > 1 else None
        return DecodedImage(
            pixels=np.ascontiguousarray(pixels),
            format="dicom",
            modality=read_modality(header),
            spacing=read_spacing(header),
            rendering=join_rules(attributes.rule, rule, frame),
            may_show_name=may_show_name(header),
            region=picture_region(header, layout),
        )


def _read_values(
    attributes: Attributes, content: bytes, layout: Layout, limits: Limits
) -> PixelValues:
    with guarded("DICOM image", *PYDICOM_ERRORS):
        add_pixels(attributes, content, limits)
        stored, _ = decode_frame(attributes.header, layout)
        return pixel_values(stored, attributes.header)


def working_bytes(header: Dataset, layout: Layout) -> int:
    """Return the memory that decoding and showing a frame takes at its peak, beside the file.

    Source: measured for every transfer syntax, rounded up.
    """
    size = max(1, layout.bits_allocated // 8)
    stored = layout.samples * size
    # Grey levels and three channels of them, through a table of 16 bits; or colour, converted.
    shown = 5 + size if layout.samples == 1 else 6
    syntax = header.file_meta.TransferSyntaxUID
    decoder = DECODERS.get(syntax)
    if decoder == GDCM:
        # Exists three times in the child process, and twice here on the way from it.
        shown = max(shown, 4 * stored)
    elif syntax.is_encapsulated:
        # Decoders work in 32 bits a sample.
        shown = max(shown, 4 * layout.samples)
    child = CHILD_BYTES if decoder == GDCM else 0
    return layout.rows * layout.columns * (stored + shown + 1) + STRIPS_BYTES + child


def decode_frame(header: Dataset, layout: Layout, index: int = 0) -> tuple[Stored, str]:
    """Return a frame's stored values, (H, W) or (H, W, 3), and the photometric they are in now.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    if header.file_meta.TransferSyntaxUID.is_encapsulated:
        words, bits, photometric = decode_encoded(header, layout, index)
    else:
        words, photometric = native_frame(header, layout, index)
        bits = layout.bits_allocated
    return stored_values(words, bits, layout), photometric


def _render(
    stored: Stored, photometric: str, header: Dataset, layout: Layout, window: Window | None
) -> tuple[RgbImage, str]:
    if photometric == PALETTE:
        return through_palette(stored, header)
    if layout.samples == 1:
        inverted = is_inverted(header, photometric)
        grey, rule = render_grey(stored, header, inverted=inverted, window=window)
        return to_rgb(grey), rule
    return render_colour(stored, photometric, layout)


def read_modality(header: Dataset) -> str | None:
    """Return the modality if it is a code; anything else could be text about a patient."""
    value = header.get("Modality")
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None
