"""Volumes and videos as sequences of frames: what every reader of them returns.

Indices of shown frames are (column, row, frame). Millimetres are in NIfTI's patient space, RAS+: x
grows to the patient's right, y to the front, z to the head.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from segmenter.contract import RgbImage, Spacing
from segmenter.formats.clips.containers import ClipFormat
from segmenter.formats.decoded import Window
from segmenter.formats.grey_levels import Stored, Tone, in_bands, to_rgb

Affine = npt.NDArray[np.float64]
Labels = npt.NDArray[np.uint16]
SequenceFormat = Literal[
    "nifti",
    "analyze",
    "nrrd",
    "metaimage",
    "dicom-series",
    "dicom",
    "tiff",
    "gif",
    "webp",
    "png",
    ClipFormat,
]


class StoredFrames(Protocol):
    """Stored values of frames, read when they are asked for."""

    def __getitem__(self, index: int, /) -> Stored:
        """Return any number type, shape (H, W)."""
        ...


class LabelFrames(Protocol):
    """Object numbers of frames; an array of shape (F, H, W) is one of these."""

    def __len__(self) -> int:
        """Return the number of frames."""
        ...

    def __getitem__(self, index: int, /) -> Labels:
        """Return uint16, shape (H, W); 0 is background."""
        ...


@dataclass(frozen=True)
class FrameGeometry:
    """Where shown frames are.

    Attributes:
        axis: what frames go through.
        affine: float64, shape (4, 4), from indices to millimetres; None if unknown. Where slices
            are missing a frame's index is its place in `SourceGrid.places`.
        spacing: of a frame's pixels; None if unknown.
        slice_mm: distance between the planes of neighbouring frames, along their normal; None if
            unknown.
        step_mm: distance between a pixel and the same one of the next frame: longer than
            `slice_mm` where the grid is sheared; None if unknown.
        voxel_ml: volume of a voxel, millilitres; None if unknown.
        fps: frames per second of a video.
    """

    axis: Literal["depth", "time"]
    affine: Affine | None = None
    spacing: Spacing | None = None
    slice_mm: float | None = None
    step_mm: float | None = None
    voxel_ml: float | None = None
    fps: float | None = None


@dataclass(frozen=True)
class SourceGrid:
    """The voxel grid that labels are written back to.

    Attributes:
        axes: of the source that the shown columns, rows and frames run along.
        flipped: for each of them whether it runs backwards.
        affine: float64, shape (4, 4), from source indices to millimetres; None if unknown. Where
            frames go through time its third column is the way through the one slice.
        places: of the frames along their axis, rising from 0, where slices are missing between
            them; None if none is.
        nifti_header: of a NIfTI or Analyze source, as it came: labels are placed by its fields, bit
            for bit, and not by `affine`.
    """

    axes: tuple[int, int, int] = (0, 1, 2)
    flipped: tuple[bool, bool, bool] = (False, False, False)
    affine: Affine | None = None
    places: tuple[int, ...] | None = None
    nifti_header: bytes | None = None

    def shown(self, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Return a source array, 3-D, as frames: shape (F, H, W), a view; channels stay last."""
        columns, rows, frames = self.axes
        return values.transpose(frames, rows, columns, *range(3, values.ndim))[self._steps]

    def source_shape(self, shown: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the shape of the source of frames, (F, H, W); missing slices count."""
        count, height, width = shown
        if self.places is not None:
            count = self.places[-1] + 1
        sides = dict(zip(self.axes, (width, height, count), strict=True))
        return sides[0], sides[1], sides[2]

    def slab_of(
        self, labels: LabelFrames, shape: tuple[int, int, int], first: int, last: int
    ) -> Labels:
        """Return labels of shown frames in the source's own order, some planes of its last axis.

        Missing slices are 0, as where nothing was found.

        Args:
            labels: of all frames.
            shape: of the source.
            first: of the planes.
            last: one behind the last of them.
        """
        slab = np.zeros((*shape[:2], last - first), dtype=np.uint16)
        columns, rows, through = self.axes
        for index, place in enumerate(self.places or range(len(labels))):
            place = shape[through] - 1 - place if self.flipped[2] else place
            if through == 2 and not first <= place < last:
                continue
            frame = labels[index][self._steps[1:]]
            plane = frame if rows < columns else frame.T
            if through == 2:
                slab[..., place - first] = plane
            else:
                np.moveaxis(slab, through, 0)[place] = plane[:, first:last]
        return slab

    @property
    def _steps(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if flip else 1) for flip in reversed(self.flipped))


class FrameOrigin(NamedTuple):
    """Where a shown frame comes from, without a name or identifier of the file.

    Attributes:
        file: its number in the order sent (or of the archive), from 1.
        frame: its number in a file of several frames, from 1; None in a file of one.
        instance_number: of the DICOM file; None if it is not told.
        position_mm: of the first pixel's centre, in DICOM's patient space, LPS; None if unknown.
        time_ms: after the event or the first frame that times of the series count from; None if
            unknown.
    """

    file: int
    frame: int | None = None
    instance_number: int | None = None
    position_mm: tuple[float, float, float] | None = None
    time_ms: float | None = None


class SkippedFile(NamedTuple):
    """A file among those sent that is no part of the sequence.

    Attributes:
        file: its number in the order sent (or of the archive), from 1.
        what: what it is, in words of ours.
        name: without folders, as the caller called it; None if it is not known here. For the
            caller's eyes alone: never in a log or an error.
    """

    file: int
    what: str
    name: str | None = None


@dataclass(frozen=True)
class Frames:
    """An opened sequence.

    Attributes:
        count: number of frames.
        height: rows of a frame.
        width: columns of a frame.
        format: what the content is.
        modality: DICOM modality code, or None.
        rendering: the named rules that turned stored values into uint8.
        geometry: where frames are.
        source: the grid that labels are written back to.
        frame: returns one frame by its index: uint8, shape (H, W, 3), RGB; cheap in order, may cost
            more out of it. Raises `BrokenImage` if it does not decode.
        origins: where each frame comes from; empty where a frame is no file of its own.
        skipped: files that are no part of the sequence.
    """

    count: int
    height: int
    width: int
    format: SequenceFormat
    modality: str | None
    rendering: str
    geometry: FrameGeometry
    source: SourceGrid
    frame: Callable[[int], RgbImage]
    origins: tuple[FrameOrigin, ...] = ()
    skipped: tuple[SkippedFile, ...] = ()


def shown_grey(
    values: StoredFrames, tone: Tone, *, inverted: bool = False
) -> Callable[[int], RgbImage]:
    """Return the `Frames.frame` of grey numbers.

    Args:
        values: of each frame.
        tone: from values to grey.
        inverted: whether low values are white.
    """
    return lambda index: to_rgb(in_bands(values[index], tone, inverted=inverted))


class ReadOptions(NamedTuple):
    """What a caller may choose about files that hold a sequence.

    Attributes:
        window: grey window in the file's own units.
        preset: named window of CT, if there is no window.
        series: which of several DICOM series: its number, from 1, or its SeriesInstanceUID.
        volume: which of several volumes (phases, times), from 1.
    """

    window: Window | None = None
    preset: str | None = None
    series: str | None = None
    volume: int | None = None


AS_THEY_ARE = ReadOptions()


class SequenceReader(NamedTuple):
    """Reads sequences; both are synchronous and slow, and raise the same.

    Attributes:
        working_bytes: of files, the memory that opening them and reading frames takes beside them.
        open: opens the one sequence that some files hold. Raises UnsupportedImage, BrokenImage,
            ImageTooLarge, InvalidPrompt.
    """

    working_bytes: Callable[[Sequence[bytes], ReadOptions], int]
    open: Callable[[Sequence[bytes], ReadOptions], Frames]
