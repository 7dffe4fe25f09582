"""How large an upload may be: checked on what its header declares, before anything is decoded."""

from dataclasses import dataclass

from segmenter.errors import BrokenImage, ImageTooLarge, UnsupportedImage

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Bounds of one image.

    Attributes:
        max_bytes: of the upload. A full-field mammogram, uncompressed, has about 30 MiB.
        max_pixels: width x height. 40 million hold that mammogram (27 million) and a slide region.
        max_side: pixels of one side; some decoders' work grows with one side alone.
        max_header_bytes: DICOM attributes before the pixels: some kilobytes, with old overlays
            or thousands of frames a few MiB.
        max_items: sequence items in them. Their parser takes 20 microseconds for each.
        max_frames: of a sequence; a CT of the whole body has 2,000.
        max_voxels: of all frames together: 512 x 512 x 1,000 fit.
    """

    max_bytes: int = 64 * MEBIBYTE
    max_pixels: int = 40_000_000
    max_side: int = 32_768
    max_header_bytes: int = 4 * MEBIBYTE
    max_items: int = 20_000
    max_frames: int = 4_096
    max_voxels: int = 300_000_000


DEFAULT_LIMITS = Limits()


def check_bytes(content: bytes, limits: Limits) -> None:
    """Refuse an empty upload and one over the byte limit.

    Raises:
        UnsupportedImage, ImageTooLarge.
    """
    if not content:
        raise UnsupportedImage("the upload is empty")
    if len(content) > limits.max_bytes:
        raise ImageTooLarge(f"{len(content)} bytes, over the limit of {limits.max_bytes}")


def check_size(width: int, height: int, limits: Limits) -> None:
    """Refuse a picture without pixels and one over the pixel limits.

    Raises:
        BrokenImage, ImageTooLarge.
    """
    if width < 1 or height < 1:
        raise BrokenImage(f"the header declares {width} x {height} pixels")
    if max(width, height) > limits.max_side:
        raise ImageTooLarge(
            f"{width} x {height} pixels, over the limit of {limits.max_side} per side"
        )
    if width * height > limits.max_pixels:
        raise ImageTooLarge(
            f"{width} x {height} pixels, over the limit of {limits.max_pixels} in all"
        )


def check_frames(frames: int, voxels: int, limits: Limits) -> None:
    """Refuse a sequence of too many frames or voxels.

    Raises:
        ImageTooLarge.
    """
    if frames > limits.max_frames:
        raise ImageTooLarge(f"{frames} frames, over the limit of {limits.max_frames}")
    if voxels > limits.max_voxels:
        raise ImageTooLarge(f"{voxels} voxels in all, over the limit of {limits.max_voxels}")
