"""DICOM files of an upload, read one by one: what is kept of each, and which hold no picture."""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

from pydicom.dataset import Dataset

from segmenter.contract import Spacing
from segmenter.errors import ImageTooLarge, InputError, MixedFiles, UnsupportedImage
from segmenter.formats.dicom.grey_pipeline import rescale_of
from segmenter.formats.dicom.header import (
    Attributes,
    NoPicture,
    nested_bytes,
    read_attributes,
)
from segmenter.formats.dicom.image import read_modality
from segmenter.formats.dicom.layout import Layout, is_tiled, read_layout
from segmenter.formats.dicom.objects import WITHOUT_PICTURE, kind_without_picture
from segmenter.formats.dicom.series.moments import (
    Moment,
    frame_times,
    read_moment,
    stated_fps,
)
from segmenter.formats.dicom.series.planes import MOST_DECIMALS, Plane, read_plane
from segmenter.formats.dicom.series.views import PER_FRAME, SHARED, frame_view
from segmenter.formats.dicom.spacing import read_spacing
from segmenter.formats.dicom.values import numbers
from segmenter.formats.frames import SkippedFile
from segmenter.formats.limits import MEBIBYTE, Limits, check_frames

# Of the sequences in the headers of a series: 7 KiB for each of 300 slices.
MAX_NESTED_BYTES = 2 * MEBIBYTE
# A refusal says of so many files what they are.
MAX_TOLD = 5
# Attributes of places and times: read once, then let go.
_READ_ONCE = (
    *("SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID", "ImageType", "SequenceName"),
    *("SeriesNumber", "InstanceNumber", "AcquisitionNumber", "TemporalPositionIdentifier"),
    *("ImagePositionPatient", "ImageOrientationPatient", "SliceThickness"),
    "SliceLocation",
    *("AcquisitionTime", "AcquisitionDateTime", "ContentTime", "TriggerTime"),
    *("FrameReferenceTime", "EchoTime", "EchoNumbers", "DiffusionBValue"),
    *("DiffusionGradientOrientation", "ComplexImageComponent"),
)

ReadFile = Callable[[], bytes]


class DicomFile(NamedTuple):
    """A file of an upload: its number there, from 1, and how to read it."""

    number: int
    read: ReadFile


class FrameFacts(NamedTuple):
    """Where a frame is, and when it was taken.

    Attributes:
        frame: its number in its file, from 0.
        stack: what several stacks of one file are told apart by; None if it has one.
        thickness_mm: SliceThickness.
        between_mm: SpacingBetweenSlices.
        location_mm: SliceLocation, which tells places apart where positions are wrong.
    """

    frame: int
    plane: Plane | None
    spacing: Spacing | None
    thickness_mm: float | None
    between_mm: float | None
    location_mm: float | None
    stack: str | None
    moment: Moment


@dataclass(frozen=True)
class SourceFile:
    """What is kept of a file.

    Attributes:
        attributes: of a file with one frame, without what `frames` hold; None for several frames,
            whose attributes are read again once it is known that they are shown.
        localizer: it says that it is one.
        stated_fps: frames per second of a clip whose frames have no times.
        of_patient: positions are in the patient, not in a volume of its own.
        instance_number: None if it is not told.
    """

    number: int
    read: ReadFile
    attributes: Attributes | None
    layout: Layout
    modality: str | None
    sop_class: str
    instance_uid: str | None
    series_uid: str
    series_number: float
    frame_of_reference: str | None
    instance_number: int | None
    localizer: bool
    stated_fps: float | None
    of_patient: bool
    frames: tuple[FrameFacts, ...]


def read_files(
    files: Sequence[DicomFile], limits: Limits
) -> tuple[list[SourceFile], list[SkippedFile]]:
    """Read the attributes of all files; those without a picture are told apart.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage: names the file by its number.
    """
    found: list[SourceFile] = []
    skipped: list[SkippedFile] = []
    nested = frames = 0
    for file in files:
        with numbered(file.number, of=len(files)):
            attributes = read_picture(file, limits, alone=len(files) == 1)
            if isinstance(attributes, SkippedFile):
                skipped.append(attributes)
                continue
            one = _read_file(file, attributes, limits)
        found.append(one)
        nested += nested_bytes(one.attributes.header) if one.attributes else 0
        frames += len(one.frames)
        if nested > MAX_NESTED_BYTES:
            raise ImageTooLarge(
                f"{nested} bytes of sequences in the files, over the limit of {MAX_NESTED_BYTES}"
            )
        if frames > limits.max_frames:
            raise ImageTooLarge(f"{frames} frames, over the limit of {limits.max_frames}")
    check_pictures(len(found), skipped)
    return found, skipped


def read_picture(file: DicomFile, limits: Limits, *, alone: bool) -> Attributes | SkippedFile:
    """Return the attributes of a file; beside others, what it is if it has no picture.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    content = file.read()
    kind = None if alone else kind_without_picture(content)
    if kind is not None:
        return SkippedFile(file.number, kind)
    try:
        return read_attributes(content, limits)
    except NoPicture:
        if alone:
            raise
        return SkippedFile(file.number, WITHOUT_PICTURE)


def check_pictures(pictures: int, skipped: Sequence[SkippedFile]) -> None:
    """Refuse files among which none has a picture.

    Raises:
        UnsupportedImage: says what they are.
    """
    if pictures == 0:
        said = "; ".join(f"file {each.file} is a {each.what}" for each in skipped[:MAX_TOLD])
        more = f"; and {len(skipped) - MAX_TOLD} more" if len(skipped) > MAX_TOLD else ""
        raise UnsupportedImage(f"no DICOM file with a picture: {said}{more}; send the images")


@contextmanager
def numbered(number: int, *, of: int) -> Iterator[None]:
    """Name the file that an error is about by its number, where there are several."""
    try:
        yield
    except InputError as error:
        if of == 1:
            raise
        raise type(error)(f"file {number}: {error}", field=error.field) from None


def without_repeats(files: Iterable[SourceFile]) -> tuple[list[SourceFile], list[SkippedFile]]:
    """Leave out files that came twice.

    Raises:
        MixedFiles: two that say to be the same and are not.
    """
    kept: list[SourceFile] = []
    skipped: list[SkippedFile] = []
    first: dict[str, SourceFile] = {}
    for file in files:
        name = file.instance_uid or _digest(file)
        same = first.setdefault(name, file)
        if same is file:
            kept.append(file)
        elif file.instance_uid is None or _digest(file) == _digest(same):
            skipped.append(SkippedFile(file.number, f"the same as file {same.number}"))
        else:
            raise MixedFiles(
                f"files {same.number} and {file.number} have the same SOPInstanceUID and are not"
                " the same: leave one of them out, or give each its own"
            )
    return kept, skipped


def _digest(file: SourceFile) -> str:
    return hashlib.sha256(file.read()).hexdigest()


def _read_file(file: DicomFile, attributes: Attributes, limits: Limits) -> SourceFile:
    header = attributes.header
    layout = read_layout(header, limits)
    check_frames(layout.frames, 0, limits)
    first = frame_view(header, 0)
    if layout.photometric.startswith("MONOCHROME"):
        rescale_of(first)
    _refuse_mosaic(first)
    _refuse_tiles(header, layout)
    facts = tuple(_facts(header, index, layout.frames) for index in range(layout.frames))
    one = SourceFile(
        number=file.number,
        read=file.read,
        attributes=None,
        layout=layout,
        modality=read_modality(header),
        sop_class=str(header.get("SOPClassUID") or ""),
        instance_uid=_text(header, "SOPInstanceUID"),
        series_uid=_text(header, "SeriesInstanceUID") or "",
        series_number=(*numbers(header, "SeriesNumber"), math.inf)[0],
        frame_of_reference=_text(header, "FrameOfReferenceUID"),
        instance_number=next(map(int, numbers(header, "InstanceNumber")), None),
        localizer=_is_localizer(first),
        stated_fps=stated_fps(header) if layout.frames > 1 else None,
        of_patient="ImagePositionVolume" not in first,
        frames=facts,
    )
    if layout.frames > 1:
        return one
    for keyword in _READ_ONCE:
        if keyword in first:
            del first[keyword]
    return replace(one, attributes=attributes._replace(header=first))


def _text(header: Dataset, keyword: str) -> str | None:
    return str(header.get(keyword) or "").strip() or None


def _is_localizer(view: Dataset) -> bool:
    said = [view.get(keyword) for keyword in ("ImageType", "FrameType")]
    return any("LOCALIZER" in str(value).upper() for value in said if value)


def _refuse_mosaic(view: Dataset) -> None:
    """Refuse pictures that are made of many slices: their pixels are not where the file says."""
    if "MOSAIC" in str(view.get("ImageType") or "").upper():
        raise UnsupportedImage(
            "a mosaic, one picture of many slices side by side (ImageType MOSAIC): send it as"
            " enhanced DICOM, single slices or NIfTI"
        )


def _refuse_tiles(header: Dataset, layout: Layout) -> None:
    """Refuse the tiles of a slide: side by side, they are neither slices nor a clip."""
    if is_tiled(header, layout):
        raise UnsupportedImage(
            f"a whole-slide image, one picture in {layout.frames} tiles: export the region to look"
            " at as TIFF, PNG or JPEG"
        )


def _facts(header: Dataset, frame: int, frames: int) -> FrameFacts:
    view = frame_view(header, frame)
    thickness, between = numbers(view, "SliceThickness"), numbers(view, "SpacingBetweenSlices")
    stack = view.get("StackID")
    return FrameFacts(
        frame=frame,
        plane=_plane(header, view, frame, frames),
        spacing=read_spacing(view),
        thickness_mm=thickness[0] if thickness and thickness[0] > 0 else None,
        between_mm=between[0] if between and between[0] > 0 else None,
        location_mm=next(iter(numbers(view, "SliceLocation")), None),
        stack=None if stack is None else str(stack),
        moment=read_moment(view, frame, frames),
    )


def _plane(header: Dataset, view: Dataset, frame: int, frames: int) -> Plane | None:
    """Return the plane of a frame; None where the file has one position for unlike frames."""
    plane = read_plane(view, "ImagePositionPatient", "ImageOrientationPatient")
    plane = plane or read_plane(view, "ImagePositionVolume", "ImageOrientationVolume")
    if plane is None or frames == 1 or any(macro in header for macro in (SHARED, PER_FRAME)):
        return plane
    # Of an object without functional groups the position is that of its first frame.
    offsets = numbers(view, "GridFrameOffsetVector")
    if len(offsets) == frames:
        moved = plane.position + plane.normal * (offsets[frame] - offsets[0])
        return plane._replace(position=moved, decimals=(MOST_DECIMALS,) * 3)
    is_cine = frame_times(header, frames) or stated_fps(header)
    return plane if is_cine else None
