"""Which files of an upload are a volume, and in which format: the entry point of volume files."""

from collections.abc import Sequence

from segmenter.errors import UnsupportedImage
from segmenter.formats.frames import AS_THEY_ARE, Frames, ReadOptions
from segmenter.formats.guard import guarded
from segmenter.formats.limits import Limits
from segmenter.formats.volumes import metaimage, nrrd
from segmenter.formats.volumes.nifti import nifti_start, read_nifti
from segmenter.formats.volumes.stored import StoredVolume, open_stored
from segmenter.formats.volumes.voxels import reading_bytes

# A header, and its voxels.
MAX_PARTS = 2


def is_volume(content: bytes) -> bool:
    """Tell whether a file begins like a volume, or like the header of one."""
    return volume_name(content) is not None


def open_volume(
    files: Sequence[bytes], limits: Limits, options: ReadOptions = AS_THEY_ARE
) -> Frames:
    """Open one volume of a file, or of a header and its voxels, in any order.

    Args:
        files: one or two; `is_volume` of one of them.
        limits: checked on the header, before the voxels are inflated or read.
        options: of the caller.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
        InvalidPrompt: no such volume or preset.
    """
    stored = _read(files, limits)
    with guarded(f"{stored.layout.what.removesuffix(' header')} volume"):
        return open_stored(stored, options)


def working_bytes(files: Sequence[bytes], limits: Limits) -> int:
    """Return the memory that reading frames of a volume takes, beside its files.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    stored = _read(files, limits)
    return reading_bytes(stored.layout, stored.content)


def _read(files: Sequence[bytes], limits: Limits) -> StoredVolume:
    """Read the header of a volume."""
    headers = [file for file in files if is_volume(file)]
    if len(headers) != 1 or len(files) > MAX_PARTS:
        raise UnsupportedImage(f"{len(headers)} volumes in one upload; send one of them")
    (header,) = headers
    others = [file for file in files if file is not header]
    voxels = others[0] if others else None
    if voxels is not None and not _is_detached(header):
        raise UnsupportedImage("a whole volume and another file beside it; send the volume alone")
    start = nifti_start(header)
    if start is not None:
        return read_nifti(start, header, voxels, limits)
    with guarded("volume"):
        read = nrrd.read_nrrd if nrrd.is_nrrd(header) else metaimage.read_metaimage
        return read(header, voxels, limits)


def volume_name(content: bytes) -> str | None:
    """Name the format of a volume, or of the header of one, by its first bytes; None if none."""
    if nrrd.is_nrrd(content):
        return "NRRD"
    if metaimage.is_metaimage(content):
        return "MetaImage"
    start = nifti_start(content)
    if start is None:
        return None
    return "Analyze" if start.analyze else "NIfTI"


def is_detached(header: bytes) -> bool:
    """Tell whether the voxels of a volume are in another file than its header.

    Raises:
        BrokenImage.
    """
    with guarded("volume"):
        return _is_detached(header)


def takes(header: bytes, size: int, limits: Limits) -> bool:
    """Tell whether a header without its voxels declares just so many bytes of them, unpacked.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    layout = _read([header, b""], limits).layout
    return layout.packing == "raw" and layout.size == size


def _is_detached(header: bytes) -> bool:
    start = nifti_start(header)
    if start is not None:
        return start.alone
    return nrrd.is_detached(header) if nrrd.is_nrrd(header) else metaimage.is_detached(header)
