"""DICOM slices of one series, or the frames of one object, as a sequence.

Slices are put in order by their position along the normal of the image plane, never by name or
number. All are shown through one window: the tags' if every slice has the same, else percentiles.
Pixels stay in the files, as they came, and are decoded when a frame is asked for.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from segmenter.contract import RgbImage
from segmenter.errors import BrokenImage, ImageTooLarge, UnsupportedImage
from segmenter.formats.archive import ReadFile
from segmenter.formats.decoded import Window, join_rules
from segmenter.formats.dicom.colour import render_colour
from segmenter.formats.dicom.grey_pipeline import (
    FROM_TAGS,
    INVERTED,
    full_range,
    is_inverted,
    is_picture,
    modality_values,
    tag_window,
)
from segmenter.formats.dicom.header import (
    NESTED_FACTOR,
    Attributes,
    add_pixels,
    nested_bytes,
    read_attributes,
)
from segmenter.formats.dicom.image import decode_frame, read_modality
from segmenter.formats.dicom.image import working_bytes as frame_bytes
from segmenter.formats.dicom.layout import Layout, read_layout
from segmenter.formats.dicom.spacing import read_spacing
from segmenter.formats.dicom.values import PYDICOM_ERRORS, numbers, of_frame
from segmenter.formats.frames import (
    AS_THEY_ARE,
    Affine,
    FrameGeometry,
    Frames,
    ReadOptions,
    SequenceFormat,
    SourceGrid,
    shown_grey,
)
from segmenter.formats.grey_levels import (
    AS_ASKED,
    Ramp,
    Stored,
    exact_window,
    linear_window,
    ramp,
)
from segmenter.formats.grid import measure_grid
from segmenter.formats.guard import guarded
from segmenter.formats.limits import MEBIBYTE, Limits, check_frames
from segmenter.formats.percentiles import Piece, cut, streamed_ramp
from segmenter.formats.sniff import sniff
from segmenter.formats.window_presets import preset_window

# Slices may be off an even grid by this share of its step.
UNEVEN = 0.05
SAME_PLACE_MM = 1e-3
# Cosines of one plane, written with few digits.
SAME_PLANE = 1e-3
# Stored values of compressed slices that are kept once decoded: those of 128 slices of 512 x 512.
# Some decoders take a third of a second for each.
KEPT_BYTES = 64 * MEBIBYTE
# Of the sequences in the headers of a series: 7 KiB for each of 300 slices.
MAX_NESTED_BYTES = 2 * MEBIBYTE
# What is kept of a file's header otherwise.
HEADER_BYTES = 5_000
# LPS, DICOM's patient space, to RAS, ours. Source: PS3.3, C.7.6.2.1.1.
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class Plane(NamedTuple):
    """Where a slice is.

    Attributes:
        position: of the first pixel's centre, millimetres, LPS.
        across: unit vector along which columns grow.
        down: unit vector along which rows grow.
    """

    position: npt.NDArray[np.float64]
    across: npt.NDArray[np.float64]
    down: npt.NDArray[np.float64]

    @property
    def along(self) -> float:
        """Millimetres along the normal of the plane."""
        return float(np.cross(self.across, self.down) @ self.position)


def working_bytes(first: bytes, limits: Limits, *, files: int, largest: int) -> int:
    """Return the memory that opening a sequence and reading its frames takes, beside its files.

    Args:
        first: of its files.
        limits: checked on its attributes.
        files: number of files.
        largest: bytes of the largest file.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    header = read_attributes(first, limits).header
    with guarded("DICOM series", *PYDICOM_ERRORS):
        layout = read_layout(header, limits)
    nested = nested_bytes(header) if files == 1 else MAX_NESTED_BYTES
    kept = KEPT_BYTES if header.file_meta.TransferSyntaxUID.is_encapsulated else 0
    # Pixel data are copied out of a file: of one that stands alone for good.
    frame = frame_bytes(header, layout) + largest
    return frame + kept + nested * NESTED_FACTOR + files * HEADER_BYTES


class Slice(NamedTuple):
    """One picture of the sequence: where to find it, and where it is in the patient.

    Attributes:
        read: its file; None if the header has the pixel data already.
    """

    attributes: Attributes
    read: ReadFile | None
    layout: Layout
    frame: int
    plane: Plane | None

    @property
    def header(self) -> Dataset:
        """The attributes alone."""
        return self.attributes.header

    def decode(self) -> tuple[Stored, str]:
        """Return the stored values, and the photometric they are in."""
        if self.read is None:
            return decode_frame(self.header, self.layout, self.frame)
        add_pixels(self.attributes, self.read())
        try:
            return decode_frame(self.header, self.layout, self.frame)
        finally:
            # One slice at a time is in memory twice.
            del self.header.PixelData


def open_dicom(
    files: Sequence[ReadFile], limits: Limits, options: ReadOptions = AS_THEY_ARE
) -> Frames:
    """Open one multi-frame file, or the single-frame files of one series.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
        InvalidPrompt: no such preset, or not for this modality.
    """
    with guarded("DICOM series", *PYDICOM_ERRORS):
        kind: SequenceFormat = "dicom" if len(files) == 1 else "dicom-series"
        if kind == "dicom-series":
            slices = [_slice(read, limits) for read in files]
            _check_nested(slices)
            slices = [each._replace(plane=_plane(each.header, 0)) for each in slices]
            _check_alike(slices)
            slices = sorted(slices, key=lambda slice_: slice_.plane.along if slice_.plane else 0.0)
        else:
            slices = _frames(files[0](), limits)
        first = slices[0]
        voxels = len(slices) * first.layout.rows * first.layout.columns
        check_frames(len(slices), voxels, limits)
        if first.layout.samples > 1 or first.layout.photometric == "PALETTE COLOR":
            return _open_colour(slices, kind)
        return _open_grey(slices, kind, options)


def _check_nested(slices: Sequence[Slice]) -> None:
    nested = sum(nested_bytes(slice_.header) for slice_ in slices)
    if nested > MAX_NESTED_BYTES:
        raise ImageTooLarge(
            f"{nested} bytes of sequences in the files, over the limit of {MAX_NESTED_BYTES}"
        )


def _slice(read: ReadFile, limits: Limits) -> Slice:
    """Return a file of a series; its place is not looked up yet."""
    content = read()
    if sniff(content) != "dicom":
        raise UnsupportedImage("several files are a series only if all are DICOM")
    attributes = read_attributes(content, limits)
    layout = read_layout(attributes.header, limits)
    return Slice(attributes, read, layout, 0, None)


def _frames(content: bytes, limits: Limits) -> list[Slice]:
    """Return the frames of a file that stands alone."""
    attributes = read_attributes(content, limits)
    layout = read_layout(attributes.header, limits)
    check_frames(layout.frames, layout.frames * layout.rows * layout.columns, limits)
    add_pixels(attributes, content)
    return [
        Slice(attributes, None, layout, i, _plane(attributes.header, i))
        for i in range(layout.frames)
    ]


def _plane(header: Dataset, index: int) -> Plane | None:
    at = of_frame(header, "PlanePositionSequence", "ImagePositionPatient", index)
    turned = of_frame(header, "PlaneOrientationSequence", "ImageOrientationPatient", index)
    position = numbers(at, "ImagePositionPatient")
    cosines = numbers(turned, "ImageOrientationPatient")
    if len(position) != 3 or len(cosines) != 6:
        return None
    across, down = np.array(cosines[:3]), np.array(cosines[3:])
    lengths = np.linalg.norm(across), np.linalg.norm(down)
    if min(lengths) < 1e-6 or abs(across @ down) > 0.01 * lengths[0] * lengths[1]:
        return None
    return Plane(np.array(position), across / lengths[0], down / lengths[1])


def _check_alike(slices: Sequence[Slice]) -> None:
    """Refuse files that are not slices of one series."""
    first = slices[0]
    for slice_ in slices:
        if slice_.layout.frames > 1:
            raise UnsupportedImage("a series is of files with one frame each")
        if slice_.plane is None or first.plane is None:
            raise UnsupportedImage("a file of the series does not tell its position in the patient")
        if (slice_.layout.rows, slice_.layout.columns) != (first.layout.rows, first.layout.columns):
            raise UnsupportedImage("the files are of different sizes: not one series")
        if read_modality(slice_.header) != read_modality(first.header):
            raise UnsupportedImage("the files are of different modalities: not one series")
        plane, other = slice_.plane, first.plane
        if np.abs([plane.across - other.across, plane.down - other.down]).max() > SAME_PLANE:
            raise UnsupportedImage("the slices are not parallel: not one series, or a localizer")


def _places(slices: Sequence[Slice]) -> tuple[tuple[int, ...], float]:
    """Return the places of slices on an even grid, from 0, and its step in millimetres.

    Raises:
        UnsupportedImage: two slices at one place, or distances that no even grid has.
    """
    along = np.array([slice_.plane.along for slice_ in slices if slice_.plane])
    if len(along) < max(2, len(slices)):
        return tuple(range(len(slices))), 0.0
    steps = np.diff(along)
    if abs(steps).min() <= SAME_PLACE_MM:
        raise UnsupportedImage("two slices are at the same place: more than one series or phase")
    step = float(np.median(steps[abs(steps) <= abs(steps).min() * (1 + UNEVEN)]))
    exact = (along - along[0]) / step
    places = np.rint(exact).astype(int)
    if abs(exact - places).max() > UNEVEN or (np.diff(places) < 1).any():
        raise UnsupportedImage("the distances between the slices are uneven")
    return tuple(places.tolist()), abs(step)


def _open_grey(slices: Sequence[Slice], kind: SequenceFormat, options: ReadOptions) -> Frames:
    first = slices[0]
    modality = read_modality(first.header)
    window = options.window
    if window is None and options.preset is not None:
        window = preset_window(options.preset, modality)
    values = _GreyFrames(slices)
    low_high, rule = _window(slices, values, window)
    inverted = is_inverted(first.header, values.photometric)
    places, step_mm = _places(slices)
    affine = _affine(slices, places, step_mm)
    missing = places[-1] + 1 - len(places)
    return Frames(
        count=len(slices),
        height=first.layout.rows,
        width=first.layout.columns,
        format=kind,
        modality=modality,
        rendering=join_rules(
            rule,
            INVERTED if inverted else None,
            f"{missing} slices missing between" if missing else None,
            measure_grid(affine).shear_rule if affine is not None else None,
        ),
        geometry=_geometry(first.header, affine),
        source=SourceGrid(
            affine=affine,
            places=places if missing else None,
        ),
        frame=shown_grey(values, lambda band: ramp(band, *low_high), inverted=inverted),
    )


class _GreyFrames:
    """Modality values of slices, decoded when they are asked for.

    Attributes:
        photometric: of the last slice.
    """

    def __init__(self, slices: Sequence[Slice]) -> None:
        """Decode all slices once, and keep of compressed ones what fits `KEPT_BYTES`."""
        self._slices = slices
        self._kept: dict[int, Stored] = {}
        self._kept_bytes = 0
        self.photometric = ""
        for index, slice_ in enumerate(slices):
            stored, self.photometric = slice_.decode()
            if slice_.header.file_meta.TransferSyntaxUID.is_encapsulated:
                self._keep(index, stored)

    def __getitem__(self, index: int) -> Stored:
        """Return float32, shape (H, W)."""
        with guarded("DICOM frame", *PYDICOM_ERRORS):
            return modality_values(self._stored(index), self._slices[index].header)

    def pieces(self) -> Iterator[Piece]:
        """Go through all values; padding is background."""
        for index, slice_ in enumerate(self._slices):
            stored = self._stored(index)
            values = modality_values(stored, slice_.header)
            for some, as_stored in zip(cut(values.ravel()), cut(stored.ravel()), strict=True):
                yield Piece(some[is_picture(as_stored, slice_.header)], some)

    def _stored(self, index: int) -> Stored:
        kept = self._kept.get(index)
        return self._slices[index].decode()[0] if kept is None else kept

    def _keep(self, index: int, stored: Stored) -> None:
        if self._kept_bytes + stored.nbytes <= KEPT_BYTES:
            # What was decoded may be a view of something larger.
            self._kept[index] = np.ascontiguousarray(stored)
            self._kept_bytes += stored.nbytes


def _window(
    slices: Sequence[Slice], values: _GreyFrames, window: Window | None
) -> tuple[Ramp, str]:
    if window is not None:
        return exact_window(*window), AS_ASKED
    windows = {tag_window(slice_.header) for slice_ in slices}
    common = windows.pop() if len(windows) == 1 else None
    if common is not None:
        return linear_window(*common), FROM_TAGS
    shown = full_range(slices[0].header)
    if shown is not None:
        return shown[0], shown[1] or ""
    found = streamed_ramp(values.pieces)
    if found is None:
        raise BrokenImage("no pixel has a value")
    return found


def _affine(slices: Sequence[Slice], places: Sequence[int], step_mm: float) -> Affine | None:
    """Return the affine of (column, row, place), RAS; None if the slices do not tell."""
    first, last = slices[0].plane, slices[-1].plane
    spacing = read_spacing(slices[0].header)
    if first is None or last is None or spacing is None:
        return None
    if step_mm:
        step = (last.position - first.position) / places[-1]
    else:
        step = np.cross(first.across, first.down) * _thickness(slices[0].header)
    if np.linalg.norm(step) < 1e-6:
        return None
    affine = np.eye(4)
    affine[:3, 0] = first.across * spacing.column_mm
    affine[:3, 1] = first.down * spacing.row_mm
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    moved: Affine = TO_RAS @ affine
    return moved


def _thickness(header: Dataset) -> float:
    between = numbers(header, "SpacingBetweenSlices")
    return between[0] if between and between[0] > 0 else 1.0


def _geometry(header: Dataset, affine: Affine | None) -> FrameGeometry:
    spacing = read_spacing(header)
    if affine is None:
        fps = _fps(header)
        return FrameGeometry(axis="time" if fps else "depth", spacing=spacing, fps=fps)
    sizes = measure_grid(affine)
    return FrameGeometry("depth", affine, spacing, sizes.slice_mm, sizes.step_mm, sizes.voxel_ml)


def _fps(header: Dataset) -> float | None:
    time_ms = numbers(header, "FrameTime")
    if time_ms and time_ms[0] > 0:
        return 1000.0 / time_ms[0]
    rate = numbers(header, "CineRate") or numbers(header, "RecommendedDisplayFrameRate")
    return rate[0] if rate and rate[0] > 0 else None


def _open_colour(slices: Sequence[Slice], kind: SequenceFormat) -> Frames:
    """Open frames of colour, decoded when asked for."""
    header, layout = slices[0].header, slices[0].layout

    def frame(index: int) -> RgbImage:
        with guarded("DICOM frame", *PYDICOM_ERRORS):
            return np.ascontiguousarray(_colour(slices[index])[0])

    return Frames(
        count=len(slices),
        height=layout.rows,
        width=layout.columns,
        format=kind,
        modality=read_modality(header),
        rendering=_colour(slices[0])[1],
        geometry=FrameGeometry("time", spacing=read_spacing(header), fps=_fps(header)),
        source=SourceGrid(),
        frame=frame,
    )


def _colour(slice_: Slice) -> tuple[RgbImage, str]:
    if slice_.layout.samples == 1:
        raise UnsupportedImage("a sequence in palette colours is not read")
    stored, photometric = slice_.decode()
    return render_colour(stored, photometric, slice_.layout)
