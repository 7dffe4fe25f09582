"""DICOM files as one sequence: the entry point of series, multi-frame objects and clips."""

from collections.abc import Sequence
from typing import NamedTuple

from segmenter.formats.decoded import join_rules
from segmenter.formats.dicom.header import NESTED_FACTOR, nested_bytes
from segmenter.formats.dicom.image import working_bytes as frame_bytes
from segmenter.formats.dicom.layout import read_layout
from segmenter.formats.dicom.series.moments import KIND_NAMES, MOVING_NUCLEAR
from segmenter.formats.dicom.series.phases import (
    WITHOUT_POSITIONS,
    Volume,
    choose_volume,
    volumes_of,
)
from segmenter.formats.dicom.series.place import place_of_volume
from segmenter.formats.dicom.series.shown import (
    KEPT_BYTES,
    is_colour,
    open_pixels,
    render_frames,
)
from segmenter.formats.dicom.series.source_files import (
    MAX_NESTED_BYTES,
    DicomFile,
    SourceFile,
    check_pictures,
    numbered,
    read_files,
    read_picture,
    without_repeats,
)
from segmenter.formats.dicom.series.units import (
    SeriesFrame,
    check_alike,
    choose_unit,
    units_of,
)
from segmenter.formats.dicom.values import PYDICOM_ERRORS
from segmenter.formats.frames import (
    AS_THEY_ARE,
    FrameOrigin,
    Frames,
    ReadOptions,
    SkippedFile,
)
from segmenter.formats.guard import guarded
from segmenter.formats.limits import Limits, check_frames

# What is kept of a file's header, and of the place and time of a frame. Measured, rounded up.
HEADER_BYTES = 16_000
FACTS_BYTES = 2_500


def working_bytes(files: Sequence[DicomFile], limits: Limits, *, largest: int) -> int:
    """Return the memory that opening a sequence and reading its frames takes, beside its files.

    Reads the header of every file: any of them may be the one that is shown.

    Args:
        files: of an upload.
        limits: checked on their attributes.
        largest: bytes of the largest file, as often as it is in memory beside the upload.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    frame = nested = kept = facts = inflated = 0
    skipped: list[SkippedFile] = []
    for file in files:
        with numbered(file.number, of=len(files)):
            attributes = read_picture(file, limits, alone=len(files) == 1)
            if isinstance(attributes, SkippedFile):
                skipped.append(attributes)
                continue
            header = attributes.header
            with guarded("DICOM series", *PYDICOM_ERRORS):
                layout = read_layout(header, limits)
            if attributes.inflated:
                # A deflated file is inflated whole, and its pixel data are copied out of that.
                inflated = max(inflated, 2 * attributes.size)
            frame = max(frame, frame_bytes(header, layout))
            nested = max(nested, nested_bytes(header))
            facts += layout.frames
            check_frames(facts, 0, limits)
            if header.file_meta.TransferSyntaxUID.is_encapsulated:
                kept = KEPT_BYTES
    check_pictures(len(files) - len(skipped), skipped)
    nested += MAX_NESTED_BYTES if len(files) > 1 else 0
    parsed = nested * NESTED_FACTOR + facts * FACTS_BYTES + len(files) * HEADER_BYTES
    return frame + largest + inflated + kept + parsed


def open_dicom(
    files: Sequence[DicomFile], limits: Limits, options: ReadOptions = AS_THEY_ARE
) -> Frames:
    """Open one series of single frames, or one multi-frame object, among some files.

    Args:
        files: one or more.
        limits: checked before anything is decoded.
        options: what the caller chose.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
        MixedFiles: the files are not of one sequence.
        InvalidPrompt: a choice that does not exist, does not fit, or is needed.
    """
    with guarded("DICOM series", *PYDICOM_ERRORS):
        chosen = _choose(files, limits, options)
        volume = chosen.volume
        layout = volume.frames[0].file.layout
        check_frames(len(volume.frames), len(volume.frames) * layout.rows * layout.columns, limits)
        place = place_of_volume(volume)
        rendered = render_frames(open_pixels(volume.frames, limits), options)
    return Frames(
        count=len(volume.frames),
        height=layout.rows,
        width=layout.columns,
        format="dicom"
        if len({each.file.number for each in volume.frames}) == 1
        else "dicom-series",
        modality=volume.frames[0].file.modality,
        rendering=join_rules(rendered.rules, *chosen.rules, *place.rules),
        geometry=place.geometry,
        source=place.source,
        frame=rendered.frame,
        origins=tuple(map(_origin, volume.frames, volume.times_ms)),
        skipped=chosen.skipped,
    )


class _Chosen(NamedTuple):
    """A sequence among the files, how it was chosen, and the files that are none of it."""

    volume: Volume
    rules: tuple[str, ...]
    skipped: tuple[SkippedFile, ...]


def _choose(files: Sequence[DicomFile], limits: Limits, options: ReadOptions) -> _Chosen:
    found, skipped = read_files(files, limits)
    found, repeated = without_repeats(found)
    units = units_of(found)
    number, unit = choose_unit(units, options.series)
    check_alike(unit)
    volumes = volumes_of(unit.frames, cine=_is_cine(unit.first))
    which, volume = choose_volume(volumes, options.volume)
    count, by = len(volumes.volumes), " and ".join(volumes.by)
    rules = (
        f"series {number} of {len(units)}" if len(units) > 1 else None,
        f"volume {which} of {count} by {by}" if count > 1 else None,
        f"frames in order of {by}" if count == 1 and by else None,
        _order_rule(volume),
    )
    told = tuple(rule for rule in rules if rule)
    return _Chosen(volume, told, (*skipped, *repeated))


def _is_cine(file: SourceFile) -> bool:
    timed = any("FrameTime" in facts.moment.times for facts in file.frames)
    has_rate = timed or file.stated_fps is not None
    kind = file.frames[0].moment.kinds[KIND_NAMES.index("ImageType")] or ()
    moves = file.modality in WITHOUT_POSITIONS or (
        file.modality == "NM" and not MOVING_NUCLEAR.isdisjoint(kind)
    )
    return has_rate or moves or is_colour(file.layout)


def _order_rule(volume: Volume) -> str | None:
    """Tell where the frames of one object are shown in another order than they are stored in."""
    if volume.frames[0].file.layout.frames == 1:
        return None
    order = [frame.facts.frame for frame in volume.frames]
    return None if order == sorted(order) else "frames sorted by position"


def _origin(frame: SeriesFrame, time_ms: float | None) -> FrameOrigin:
    plane, file = frame.facts.plane, frame.file
    position = None
    if plane is not None:
        x, y, z = plane.position.tolist()
        position = (x, y, z)
    return FrameOrigin(
        file=file.number,
        frame=frame.facts.frame + 1 if file.layout.frames > 1 else None,
        instance_number=file.instance_number,
        position_mm=position,
        time_ms=time_ms,
    )
