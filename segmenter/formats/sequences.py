"""Bytes of an upload to a sequence of frames: the entry point of volumes and videos.

Formats are told by content, never by name.
"""

from collections.abc import Sequence
from functools import partial

from segmenter.errors import ImageTooLarge, InvalidPrompt, UnsupportedImage
from segmenter.formats import archive
from segmenter.formats.archive import Member
from segmenter.formats.clips.video import open_video
from segmenter.formats.clips.video import working_bytes as video_bytes
from segmenter.formats.dicom.series import open_dicom
from segmenter.formats.dicom.series import working_bytes as dicom_bytes
from segmenter.formats.frames import AS_THEY_ARE, Frames, ReadOptions
from segmenter.formats.limits import Limits, check_bytes
from segmenter.formats.raster.tiff_pages import open_tiff
from segmenter.formats.raster.tiff_pages import working_bytes as tiff_bytes
from segmenter.formats.sniff import sniff
from segmenter.formats.volumes.files import MAX_PARTS, is_volume, open_volume
from segmenter.formats.volumes.files import working_bytes as volume_bytes

READ_HERE = "NIfTI, NRRD, MetaImage, DICOM, MP4 and TIFF sequences are read"


def open_frames(
    files: bytes | Sequence[bytes], limits: Limits, options: ReadOptions = AS_THEY_ARE
) -> Frames:
    """Open a volume file, a DICOM series or multi-frame file, MP4, or a TIFF of several pages.

    Args:
        files: of one file, or of all files of a series; a ZIP archive stands for its files.
        limits: bounds, checked before anything is decoded.
        options: what the caller chose.

    Raises:
        UnsupportedImage, BrokenImage, ImageTooLarge.
        InvalidPrompt: a choice that does not exist or does not fit.
    """
    members = _members(files, limits)
    parts = _volume_parts(members)
    if parts:
        return open_volume(parts, limits, options)
    if len(members) == 1:
        return _open_one(members[0].read(), limits, options)
    return open_dicom([member.read for member in members], limits, options)


def working_bytes(
    files: bytes | Sequence[bytes], limits: Limits, options: ReadOptions = AS_THEY_ARE
) -> int:
    """Return the memory that opening a sequence and reading its frames takes, beside its files.

    Reads the header of the first file only: what the others declare is checked against it.

    Raises:
        UnsupportedImage, BrokenImage, ImageTooLarge.
    """
    members = _members(files, limits)
    parts = _volume_parts(members)
    if parts:
        # What lies in an archive is inflated beside it.
        return sum(map(len, parts)) * _is_archive(files) + volume_bytes(parts, limits)
    first, largest = members[0].read(), max(member.size for member in members)
    if len(members) > 1:
        return dicom_bytes(first, limits, files=len(members), largest=2 * largest)
    inflated = largest if _is_archive(files) else 0
    if first[4:8] == b"ftyp":
        return inflated + video_bytes(first, limits)
    kind = sniff(first)
    if kind == "dicom":
        return inflated + dicom_bytes(first, limits, files=1, largest=largest)
    if kind == "tiff":
        return inflated + tiff_bytes(first, limits)
    raise _single(kind)


def _is_archive(files: bytes | Sequence[bytes]) -> bool:
    first = files if isinstance(files, bytes) else files[0]
    return first.startswith(archive.MAGIC)


def is_sequence(content: bytes) -> bool:
    """Tell whether bytes begin like what can only be a sequence: a volume, MP4 or a ZIP archive."""
    return content[4:8] == b"ftyp" or content.startswith(archive.MAGIC) or is_volume(content)


def _volume_parts(members: Sequence[Member]) -> list[bytes]:
    """Return the files of a volume; none if the upload is something else."""
    if len(members) > MAX_PARTS:
        return []
    parts = [member.read() for member in members]
    return parts if any(map(is_volume, parts)) else []


def _members(content: bytes | Sequence[bytes], limits: Limits) -> list[Member]:
    files = [content] if isinstance(content, bytes) else list(content)
    if not files:
        raise UnsupportedImage("the upload is empty")
    for file in files:
        check_bytes(file, limits)
    total = sum(map(len, files))
    if total > limits.max_bytes:
        raise ImageTooLarge(f"{total} bytes in all files, over the limit of {limits.max_bytes}")
    if len(files) == 1 and files[0].startswith(archive.MAGIC):
        return archive.members(files[0], limits)
    return [Member(len(file), partial(bytes, file)) for file in files]


def _open_one(content: bytes, limits: Limits, options: ReadOptions) -> Frames:
    if content[4:8] == b"ftyp":
        _refuse_preset(options.preset)
        return open_video(content, limits)
    kind = sniff(content)
    if kind == "dicom":
        return open_dicom([lambda: content], limits, options)
    if kind == "tiff":
        _refuse_preset(options.preset)
        return open_tiff(content, limits, window=options.window)
    raise _single(kind)


def _single(kind: str) -> UnsupportedImage:
    return UnsupportedImage(f"this is {kind}, a single picture; {READ_HERE}")


def _refuse_preset(preset: str | None) -> None:
    if preset is not None:
        raise InvalidPrompt("window presets are of CT volumes", field="preset")
