"""Which frames of the files belong together, and which of several series is meant. Pure.

Frames are of one series if files say so (SeriesInstanceUID) and nothing contradicts it. Where there
are several series, the caller chooses: nobody can tell which one is meant.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from segmenter.errors import InvalidPrompt, MixedFiles
from segmenter.formats.dicom.objects import class_keyword
from segmenter.formats.dicom.series.planes import Plane
from segmenter.formats.dicom.series.source_files import FrameFacts, SourceFile

# A refusal names as many series and no more.
MAX_TOLD = 20
# Sides of pixels that are further apart than this share are of two series: over 512 pixels they
# are half a pixel apart.
SAME_SPACING = 1e-3
# Thickness is written with few digits, or as measured.
SAME_THICKNESS = 0.1
# Nobody stacks slices in more directions; frames of further ones are each a series of their own.
MAX_ORIENTATIONS = 64
# Longer than any count of series, shorter than any UID.
MAX_NUMBER_DIGITS = 6


class SeriesFrame(NamedTuple):
    """One frame of the files."""

    file: SourceFile
    facts: FrameFacts


class Unit(NamedTuple):
    """Frames that can make one sequence: a series, a multi-frame object, or a stack of one."""

    frames: tuple[SeriesFrame, ...]

    @property
    def first(self) -> SourceFile:
        """The file of the first frame."""
        return self.frames[0].file

    @property
    def said(self) -> str:
        """What it is, without a word from its files."""
        file, count = self.first, len(self.frames)
        modality = file.modality or "DICOM"
        kind = f"{modality} localizer" if file.localizer else modality
        several = file.layout.frames > 1
        name = "frame" if several else "slice" if self.frames[0].facts.plane else "picture"
        size = f"{file.layout.columns} x {file.layout.rows}"
        spacing = self.frames[0].facts.spacing
        pixels = f" ({spacing.column_mm:g} x {spacing.row_mm:g} mm)" if spacing else ""
        where = f" of file {file.number}" if several else f", such as file {file.number}"
        return f"{kind}, {count} {name}{'s' if count > 1 else ''} of {size}{pixels}{where}"


def units_of(files: Sequence[SourceFile]) -> list[Unit]:
    """Put frames that belong together into units, in an order that the files' has no part in."""
    groups: dict[tuple[object, ...], list[SeriesFrame]] = {}
    for file in sorted(files, key=_file_order):
        whole = file.instance_uid or file.number if file.layout.frames > 1 else None
        kind = (file.sop_class, file.localizer, file.layout.rows, file.layout.columns)
        for facts in file.frames:
            key = (file.series_uid, whole, *kind, facts.stack)
            groups.setdefault(key, []).append(SeriesFrame(file, facts))
    return [unit for frames in groups.values() for unit in _by_orientation(frames)]


def _by_orientation(frames: Sequence[SeriesFrame]) -> list[Unit]:
    """Take frames that are not parallel apart; those without a plane stay with the first."""
    known: list[tuple[Plane, list[SeriesFrame]]] = []
    without: list[SeriesFrame] = []
    for frame in frames:
        plane = frame.facts.plane
        near = (part for seen, part in known[:MAX_ORIENTATIONS] if plane and plane.parallel(seen))
        part = without if plane is None else next(near, None)
        if part is None:
            assert plane is not None
            known.append((plane, part := []))
        part.append(frame)
    parts = [part for _, part in known] or [[]]
    parts[0] += without
    return [Unit(tuple(sorted(part, key=_place_in_files))) for part in parts]


def choose_unit(units: Sequence[Unit], asked: str | None) -> tuple[int, Unit]:
    """Return the unit that is meant, and its number from 1.

    Args:
        units: at least one.
        asked: number, or SeriesInstanceUID; None if the caller did not choose.

    Raises:
        InvalidPrompt: there is no such series, or more than one and none is chosen.
    """
    if asked is None:
        if len(units) > 1:
            raise InvalidPrompt(_tell(units), field="series")
        return 1, units[0]
    if asked.isdecimal() and len(asked) < MAX_NUMBER_DIGITS:
        number = int(asked)
        if not 1 <= number <= len(units):
            raise InvalidPrompt(f"there is no series {number}; {_tell(units)}", field="series")
        return number, units[number - 1]
    named = [index for index, unit in enumerate(units) if unit.first.series_uid == asked]
    if not named:
        raise InvalidPrompt(f"no series has this SeriesInstanceUID; {_tell(units)}", field="series")
    if len(named) > 1:
        numbers = ", ".join(str(index + 1) for index in named)
        message = f"{numbers} have this SeriesInstanceUID: choose by number; {_tell(units)}"
        raise InvalidPrompt(message, field="series")
    return named[0] + 1, units[named[0]]


def check_alike(unit: Unit) -> None:
    """Refuse frames that say of themselves that they are not of one volume.

    Raises:
        MixedFiles: names the attribute and two values.
    """
    first = unit.frames[0]
    for frame in unit.frames[1:]:
        for name, value in _MUST_AGREE:
            here, there = value(first), value(frame)
            if not _alike(here, there):
                raise MixedFiles(
                    f"{name} differs: {_shown(here)} in {place_of(first)} and {_shown(there)} in"
                    f" {place_of(frame)}: send the files of one series"
                )
        _check_thickness(first, frame)
        here, there = first.file.frame_of_reference, frame.file.frame_of_reference
        if here and there and here != there:
            raise MixedFiles(
                f"two FrameOfReferenceUIDs, in {place_of(first)} and in {place_of(frame)}: their"
                " positions have nothing in common; send the files of one series"
            )
    without = [frame for frame in unit.frames if frame.facts.plane is None]
    if without and len(without) < len(unit.frames):
        raise MixedFiles(f"{place_of(without[0])} does not tell its position in the patient")


def _check_thickness(here: SeriesFrame, there: SeriesFrame) -> None:
    """Refuse slices of two scans, such as a thick scout between thin slices."""
    first, second = here.facts.thickness_mm, there.facts.thickness_mm
    if first and second and abs(first - second) > SAME_THICKNESS * max(first, second):
        raise MixedFiles(
            f"SliceThickness differs: {first:g} in {place_of(here)} and {second:g} in"
            f" {place_of(there)}: send the files of one series"
        )


def place_of(frame: SeriesFrame) -> str:
    """Name a frame by number: its file, and its place there if the file has several."""
    if frame.file.layout.frames == 1:
        return f"file {frame.file.number}"
    return f"frame {frame.facts.frame + 1} of file {frame.file.number}"


def _tell(units: Sequence[Unit]) -> str:
    """List series by number, so that a caller can choose."""
    told = "; ".join(f"{i + 1}: {unit.said}" for i, unit in enumerate(units[:MAX_TOLD]))
    more = f"; and {len(units) - MAX_TOLD} more" if len(units) > MAX_TOLD else ""
    if len(units) == 1:
        return f"there is one: {told}"
    return (
        f"{len(units)} series in the files ({_difference(units)}): choose one with series=1 to"
        f" {len(units)}, or by SeriesInstanceUID: {told}{more}"
    )


def _difference(units: Sequence[Unit]) -> str:
    """Say by which attribute the first two series that are not the same differ."""
    names = {unit.first.series_uid for unit in units}
    if len(names) > 1:
        return f"{len(names)} SeriesInstanceUIDs"
    here, there = sorted((units[0].frames[0], units[1].frames[0]), key=_place_in_files)
    for name, value in _SPLITS:
        if value(here) != value(there):
            return (
                f"other {name}: {_shown(value(here))} in {place_of(here)},"
                f" {_shown(value(there))} in {place_of(there)}"
            )
    return "several stacks, or several files of many frames"


def _place_in_files(frame: SeriesFrame) -> tuple[int, int]:
    return frame.file.number, frame.facts.frame


def _file_order(file: SourceFile) -> tuple[object, ...]:
    number = file.instance_number
    return (
        *(file.series_number, _natural(file.series_uid), file.localizer),
        *(number is None, number or 0, file.instance_uid or "", file.number),
    )


def _natural(uid: str) -> tuple[int, ...] | tuple[()]:
    return tuple(int(part) for part in uid.split(".") if part.isdecimal())


def _size(frame: SeriesFrame) -> str:
    return f"{frame.file.layout.columns} x {frame.file.layout.rows}"


def _cosines(frame: SeriesFrame) -> tuple[float, ...]:
    plane = frame.facts.plane
    return () if plane is None else (*plane.across.tolist(), *plane.down.tolist())


def _sides(frame: SeriesFrame) -> tuple[float, ...]:
    spacing = frame.facts.spacing
    return () if spacing is None else (spacing.row_mm, spacing.column_mm)


def _alike(here: object, there: object) -> bool:
    """Tell whether two values agree, sides of pixels within rounding."""
    if here == there:
        return True
    if not (isinstance(here, tuple) and isinstance(there, tuple)) or len(here) != len(there):
        return False
    return all(
        abs(one - other) <= SAME_SPACING * max(one, other)
        for one, other in zip(here, there, strict=True)
    )


def _shown(value: object) -> str:
    """Write numbers and codes; both are ours or checked, never a text of a file."""
    if isinstance(value, tuple):
        return "\\".join(f"{each:g}" for each in value) or "none"
    return str(value)


_SPLITS: tuple[tuple[str, Callable[[SeriesFrame], object]], ...] = (
    ("Rows and Columns", _size),
    ("ImageOrientationPatient", _cosines),
    ("ImageType", lambda frame: "LOCALIZER" if frame.file.localizer else "no LOCALIZER"),
    ("SOPClassUID", lambda frame: class_keyword(frame.file.sop_class) or "a private one"),
)
_MUST_AGREE: tuple[tuple[str, Callable[[SeriesFrame], object]], ...] = (
    ("Modality", lambda frame: frame.file.modality or "none"),
    ("PixelSpacing", _sides),
    ("SamplesPerPixel", lambda frame: frame.file.layout.samples),
    ("PhotometricInterpretation", lambda frame: frame.file.layout.photometric),
)
