"""Bytes of an upload to a sequence of frames: the entry point of volumes and videos.

Formats are told by content, never by name. Among several files those that make the sequence are
taken; the others are skipped and named in what is returned.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from segmenter.errors import BrokenImage, ImageTooLarge, InvalidPrompt, UnsupportedImage
from segmenter.formats import archive
from segmenter.formats.archive import Member, member_of
from segmenter.formats.clips.containers import clip_kind
from segmenter.formats.clips.video import open_video
from segmenter.formats.clips.video import working_bytes as video_bytes
from segmenter.formats.decoded import join_rules
from segmenter.formats.dicom.series.opening import open_dicom
from segmenter.formats.dicom.series.opening import working_bytes as dicom_bytes
from segmenter.formats.dicom.series.source_files import DicomFile
from segmenter.formats.frames import AS_THEY_ARE, FrameOrigin, Frames, ReadOptions, SkippedFile
from segmenter.formats.grey_levels import AS_ASKED
from segmenter.formats.limits import Limits, check_bytes
from segmenter.formats.raster.animation import ANIMATED, open_animation
from segmenter.formats.raster.animation import working_bytes as animation_bytes
from segmenter.formats.raster.tiff.stack import open_tiff
from segmenter.formats.raster.tiff.stack import working_bytes as tiff_bytes
from segmenter.formats.refusals import TO_PICTURE, is_office, refusal
from segmenter.formats.sniff import raster_format
from segmenter.formats.strays import DICOMDIR, HIDDEN, no_sequence, sniffed, what_is
from segmenter.formats.volumes.files import is_volume, open_volume, volume_name
from segmenter.formats.volumes.files import working_bytes as volume_bytes
from segmenter.formats.volumes.pairs import likely_voxels, raw_voxels

READ_HERE = (
    "NIfTI, NRRD, MetaImage, DICOM, TIFF of several pages, animated GIF, WebP and PNG, and video "
    "(MP4, MOV, AVI, MKV, WebM, MPEG, WMV, FLV, Ogg) are read"
)
_COUNTS = ("no", "one", "two", "three", "four", "five")


class _Kind(NamedTuple):
    """A kind of files, other than DICOM, that hold a sequence.

    Attributes:
        name: of a file's format by its first bytes, in the words of a refusal; None if it is not
            of this kind.
        open: opens one file; of a volume a header and its voxels may be two.
        working_bytes: of the same files.
        picture: a file of it beside another sequence is a picture, not a sequence.
    """

    name: Callable[[bytes], str | None]
    open: Callable[[Sequence[bytes], Limits, ReadOptions], Frames]
    working_bytes: Callable[[Sequence[bytes], Limits], int]
    picture: bool = False


def _video_name(head: bytes) -> str | None:
    kind = clip_kind(head)
    return None if kind is None else kind.format.upper()


def _open_video(files: Sequence[bytes], limits: Limits, options: ReadOptions) -> Frames:
    _refuse_choices(options)
    kind = clip_kind(files[0])
    assert kind is not None
    return open_video(files[0], kind, limits)


def _video_bytes(files: Sequence[bytes], limits: Limits) -> int:
    kind = clip_kind(files[0])
    assert kind is not None
    return video_bytes(files[0], kind, limits)


def _open_tiff(files: Sequence[bytes], limits: Limits, options: ReadOptions) -> Frames:
    _refuse_preset(options.preset)
    return open_tiff(files[0], limits, options)


def _animation_name(head: bytes) -> str | None:
    name = sniffed(head)
    return name.upper() if name in ANIMATED else None


def _open_animation(files: Sequence[bytes], limits: Limits, options: ReadOptions) -> Frames:
    frames = open_animation(files[0], str(raster_format(files[0])), limits)
    # A single picture is named as such first.
    _refuse_choices(options)
    return frames


KINDS = (
    _Kind(_video_name, _open_video, _video_bytes),
    _Kind(volume_name, open_volume, volume_bytes),
    _Kind(
        lambda head: "TIFF" if sniffed(head) == "tiff" else None,
        _open_tiff,
        lambda files, limits: tiff_bytes(files[0], limits),
        picture=True,
    ),
    _Kind(
        _animation_name,
        _open_animation,
        lambda files, limits: animation_bytes(files[0], str(raster_format(files[0])), limits),
        picture=True,
    ),
)


class _Found(NamedTuple):
    """A file that is a sequence, or the header of one."""

    member: Member
    kind: _Kind
    name: str


class _Chosen(NamedTuple):
    """Files that make a sequence, all DICOM if there is no `kind`, and those that do not."""

    kind: _Kind | None
    members: tuple[Member, ...]
    skipped: tuple[SkippedFile, ...]


def open_frames(
    files: bytes | Sequence[bytes], limits: Limits, options: ReadOptions = AS_THEY_ARE
) -> Frames:
    """Open a volume file, a DICOM series or multi-frame file, video, or a picture that moves.

    Args:
        files: of one file, or of all files of a series; a ZIP archive stands for its files. Others
            may lie among them: see `Frames.skipped`.
        limits: bounds, checked before anything is decoded.
        options: what the caller chose.

    Raises:
        UnsupportedImage, BrokenImage, ImageTooLarge.
        MixedFiles: the files do not make one sequence.
        InvalidPrompt: a choice that does not exist, does not fit or is needed.
    """
    members = _members(files, limits)
    chosen = _choose(members, _is_archive(files), limits)
    if chosen.kind is None:
        frames = open_dicom(_dicom_files(chosen), limits, options)
    else:
        if options.series is not None:
            raise InvalidPrompt("series chooses among those of DICOM files", field="series")
        frames = chosen.kind.open([each.read() for each in chosen.members], limits, options)
        number = chosen.members[0].number
        # Readers of one file know nothing of those beside it.
        frames = replace(frames, origins=tuple(o._replace(file=number) for o in frames.origins))
    names = {member.number: member.name for member in members}
    skipped = sorted((*chosen.skipped, *frames.skipped))
    origins = frames.origins or (FrameOrigin(chosen.members[0].number),) * frames.count
    return replace(
        frames,
        rendering=join_rules(frames.rendering, _told_window(options, frames)),
        origins=origins,
        skipped=tuple(each._replace(name=names[each.file]) for each in skipped),
    )


def working_bytes(
    files: bytes | Sequence[bytes], limits: Limits, options: ReadOptions = AS_THEY_ARE
) -> int:
    """Return the memory that opening a sequence and reading its frames takes, beside its files.

    Raises:
        UnsupportedImage, BrokenImage, ImageTooLarge.
    """
    members = _members(files, limits)
    chosen = _choose(members, _is_archive(files), limits)
    if chosen.kind is None:
        largest = max(member.size for member in chosen.members)
        # What lies in an archive is inflated beside it, and pixel data are copied out of a file.
        copies = 1 if len(members) == 1 and not _is_archive(files) else 2
        return dicom_bytes(_dicom_files(chosen), limits, largest=copies * largest)
    # What lies in an archive is inflated beside it.
    inflated = sum(member.size for member in chosen.members) if _is_archive(files) else 0
    contents = [member.read() for member in chosen.members]
    return inflated + chosen.kind.working_bytes(contents, limits)


def is_sequence(content: bytes) -> bool:
    """Tell whether bytes begin like what can only be a sequence: a volume, video or a ZIP."""
    return clip_kind(content) is not None or content.startswith(archive.MAGIC) or is_volume(content)


def _is_archive(files: bytes | Sequence[bytes]) -> bool:
    if isinstance(files, bytes):
        return files.startswith(archive.MAGIC)
    return len(files) == 1 and files[0].startswith(archive.MAGIC)


def _members(content: bytes | Sequence[bytes], limits: Limits) -> list[Member]:
    files = [content] if isinstance(content, bytes) else list(content)
    if not any(files):
        raise UnsupportedImage("the upload is empty")
    for file in filter(None, files):
        check_bytes(file, limits)
    total = sum(map(len, files))
    if total > limits.max_bytes:
        raise ImageTooLarge(f"{total} bytes in all files, over the limit of {limits.max_bytes}")
    if _is_archive(files):
        if is_office(files[0]):
            raise UnsupportedImage(refusal(files[0], "sequence", READ_HERE))
        return archive.members(files[0], limits)
    return [member_of(number, file) for number, file in enumerate(files, 1)]


def _choose(members: Sequence[Member], archived: bool, limits: Limits) -> _Chosen:
    """Tell the files of the sequence from those that only lie beside it.

    Raises:
        UnsupportedImage: there is no sequence, or more than one.
    """
    dicom, others, strays = _sorted(members)
    raw = raw_voxels(
        members, [each.member for each in others if each.kind.open is open_volume], limits
    )
    if raw is not None:
        dicom = [each for each in dicom if each.number != raw.number]
        others = [each for each in others if each.member.number != raw.number]
        strays = [each for each in strays if each.file != raw.number]
    # A picture beside a sequence is no second sequence.
    if dicom or any(not each.kind.picture for each in others):
        beside = [each.member for each in others if each.kind.picture]
        strays += [SkippedFile(each.number, what_is(each.head())) for each in beside]
        others = [each for each in others if not each.kind.picture]
    if len(others) + bool(dicom) > 1:
        raise UnsupportedImage(_several(others, len(dicom), archived))
    if dicom:
        return _Chosen(None, tuple(dicom), tuple(strays))
    if not others:
        raise UnsupportedImage(no_sequence(members, strays, READ_HERE, archived=archived))
    member, kind, _ = others[0]
    voxels = raw
    if raw is None and kind.open is open_volume:
        voxels = likely_voxels(member, members, strays)
    if voxels is None:
        return _Chosen(kind, (member,), tuple(strays))
    left = tuple(each for each in strays if each.file != voxels.number)
    return _Chosen(kind, (member, voxels), left)


def _sorted(members: Sequence[Member]) -> tuple[list[Member], list[_Found], list[SkippedFile]]:
    """Return DICOM files, files of other kinds of sequences, and what is neither."""
    dicom: list[Member] = []
    others: list[_Found] = []
    strays: list[SkippedFile] = []
    for member in members:
        head = b"" if member.hidden else member.head()
        said = what_is(head, name=member.name, hidden=member.hidden)
        found = _found(member, head, alone=len(members) == 1)
        if found is not None:
            others.append(found)
        elif said not in (HIDDEN, DICOMDIR) and sniffed(head) == "dicom":
            dicom.append(member)
        else:
            strays.append(SkippedFile(member.number, said))
    return dicom, others, strays


def _found(member: Member, head: bytes, *, alone: bool) -> _Found | None:
    """Return a file as the sequence that it begins like.

    Raises:
        BrokenImage: a gzip that does not inflate, where it is the only file.
    """
    for kind in KINDS:
        try:
            name = kind.name(head)
        except BrokenImage:
            if alone:
                raise
            continue
        if name is not None:
            return _Found(member, kind, name)
    return None


def _several(others: Sequence[_Found], dicom: int, archived: bool) -> str:
    where = "in the ZIP archive" if archived else "among the files"
    counts = Counter(each.name for each in others)
    if dicom:
        counts["DICOM"] = dicom
    told = " and ".join(
        f"{_COUNTS[count] if count < len(_COUNTS) else count} {name} file{'s' * (count > 1)}"
        for name, count in counts.items()
    )
    if dicom:
        return f"{told} {where}: send one series or file"
    if all(each.kind.picture for each in others):
        return f"{told} {where}: send one; if it is a single picture, {TO_PICTURE}"
    return f"{told} {where}: send one"


def _dicom_files(chosen: _Chosen) -> list[DicomFile]:
    return [DicomFile(member.number, member.read) for member in chosen.members]


def _told_window(options: ReadOptions, frames: Frames) -> str | None:
    """Tell that a grey window had nothing to apply to; a preset for colours is refused before."""
    unused = options.window is not None and AS_ASKED not in frames.rendering
    return "window not applied: it is of grey volumes" if unused else None


def _refuse_preset(preset: str | None) -> None:
    if preset is not None:
        raise InvalidPrompt("window presets are of CT volumes", field="preset")


def _refuse_choices(options: ReadOptions) -> None:
    """Refuse what is of grey volumes."""
    _refuse_preset(options.preset)
    if options.volume not in (None, 1):
        raise InvalidPrompt("a clip is one sequence: there is no other volume", field="volume")
