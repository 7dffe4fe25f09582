"""Bytes of an upload to one upright RGB picture: the entry point of the formats.

Pure and synchronous; the caller moves it off the event loop. Nothing that names a patient leaves
the readers: results hold pixels, size, spacing, modality and rule names, errors hold numbers.
"""

import hashlib

from segmenter.contract import ImageRef
from segmenter.formats.decoded import DecodedImage, Undecoded, Window
from segmenter.formats.dicom.image import read_dicom_image
from segmenter.formats.limits import DEFAULT_LIMITS, Limits, check_bytes
from segmenter.formats.raster.image import read_raster
from segmenter.formats.sniff import sniff


def read_header(
    content: bytes, limits: Limits = DEFAULT_LIMITS, *, window: Window | None = None
) -> Undecoded:
    """Read what a PNG, JPEG, TIFF, WebP, BMP, GIF or DICOM file declares, and decode nothing.

    Args:
        content: the whole file.
        limits: bounds, checked before anything is decoded.
        window: grey window for deep images, in the file's own units; by default the window of
            the file, else percentiles.

    Raises:
        UnsupportedImage: not a format, or a variant of one, that is read here.
        BrokenImage: damaged, cut short or contradicting itself.
        ImageTooLarge: over one of the limits.
    """
    check_bytes(content, limits)
    name = sniff(content)
    if name == "dicom":
        return read_dicom_image(content, limits, window=window)
    return read_raster(content, name, limits, window=window)


def decode(
    content: bytes, limits: Limits = DEFAULT_LIMITS, *, window: Window | None = None
) -> DecodedImage:
    """Decode an image; see `read_header`, for the errors too."""
    return read_header(content, limits, window=window).decode()


def describe(content: bytes, decoded: DecodedImage) -> ImageRef:
    """Return the reference of an upload: its digest and what was decoded from it."""
    height, width = decoded.pixels.shape[:2]
    return ImageRef(
        sha256=hashlib.sha256(content).hexdigest(),
        width=width,
        height=height,
        format=decoded.format,
        modality=decoded.modality,
        spacing=decoded.spacing,
        rendering=decoded.rendering,
        may_show_name=decoded.may_show_name,
        region=decoded.region,
    )
