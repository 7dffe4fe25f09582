"""Volumes and videos as sequences of frames: what every reader of them returns.

Indices of shown frames are (column, row, frame). Millimetres are in NIfTI's patient space, RAS+: x
grows to the patient's right, y to the front, z to the head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from segmenter.contract import RgbImage, Spacing
from segmenter.formats.decoded import Window
from segmenter.formats.grey_levels import Grey, Stored, Tone, in_bands, to_rgb

Affine = npt.NDArray[np.float64]
Labels = npt.NDArray[np.uint16]
SequenceFormat = Literal["nifti", "dicom-series", "dicom", "mp4", "tiff"]


@dataclass(frozen=True)
class FrameGeometry:
    """Where shown frames are.

    Attributes:
        axis: what frames go through.
        affine: float64, shape (4, 4), from indices to millimetres; None if unknown. Where slices
            are missing a frame's index is its place in `SourceGrid.places`.
        spacing: of a frame's pixels; None if unknown.
        slice_mm: distance between neighbouring frames; None if unknown.
        fps: frames per second of a video.
    """

    axis: Literal["depth", "time"]
    affine: Affine | None = None
    spacing: Spacing | None = None
    slice_mm: float | None = None
    fps: float | None = None


@dataclass(frozen=True)
class SourceGrid:
    """The voxel grid that labels are written back to.

    Attributes:
        axes: of the source that the shown columns, rows and frames run along.
        flipped: for each of them whether it runs backwards.
        affine: float64, shape (4, 4), from source indices to millimetres; None if unknown.
        codes: NIfTI's qform and sform codes; 0 where nothing is known.
        places: of the frames along their axis, rising from 0, where slices are missing between
            them; None if none is.
        pixdim: voxel size along the source's axes, in its own unit, where a header states it
            apart from the affine; None if it does not.
        unit: of the affine and pixdim, as NIfTI names it.
    """

    axes: tuple[int, int, int] = (0, 1, 2)
    flipped: tuple[bool, bool, bool] = (False, False, False)
    affine: Affine | None = None
    codes: tuple[int, int] = (0, 0)
    places: tuple[int, ...] | None = None
    pixdim: tuple[float, float, float] | None = None
    unit: str = "mm"

    def shown(self, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Return a source array, 3-D, as frames: shape (F, H, W), a view."""
        columns, rows, frames = self.axes
        turned = values.transpose(frames, rows, columns)
        steps = [slice(None, None, -1 if flip else 1) for flip in reversed(self.flipped)]
        return turned[tuple(steps)]

    def to_source(self, labels: Labels) -> Labels:
        """Return labels of shown frames, shape (F, H, W), in the source's own order.

        Missing slices are 0, as where nothing was found.
        """
        if self.places is not None:
            whole = np.zeros((self.places[-1] + 1, *labels.shape[1:]), dtype=labels.dtype)
            whole[list(self.places)] = labels
            labels = whole
        steps = [slice(None, None, -1 if flip else 1) for flip in reversed(self.flipped)]
        turned = labels[tuple(steps)]
        order = [0, 0, 0]
        for place, axis in enumerate(reversed(self.axes)):
            order[axis] = place
        return np.ascontiguousarray(turned.transpose(order))

    def shown_affine(self, shape: tuple[int, int, int]) -> Affine | None:
        """Return the affine of shown indices; `shape` is the source's."""
        if self.affine is None:
            return None
        place = np.zeros((4, 4))
        place[3, 3] = 1.0
        for shown, (axis, flip) in enumerate(zip(self.axes, self.flipped, strict=True)):
            place[axis, shown] = -1.0 if flip else 1.0
            place[axis, 3] = shape[axis] - 1.0 if flip else 0.0
        return self.affine @ place


class Frames(Protocol):
    """An opened sequence; frames are cheap in order and may cost more out of it."""

    @property
    def count(self) -> int:
        """Number of frames."""
        ...

    @property
    def height(self) -> int:
        """Rows of a frame."""
        ...

    @property
    def width(self) -> int:
        """Columns of a frame."""
        ...

    @property
    def format(self) -> SequenceFormat:
        """What the content is."""
        ...

    @property
    def modality(self) -> str | None:
        """DICOM modality code, or None."""
        ...

    @property
    def rendering(self) -> str:
        """The named rules that turned stored values into uint8."""
        ...

    @property
    def geometry(self) -> FrameGeometry:
        """Where frames are."""
        ...

    @property
    def source(self) -> SourceGrid:
        """The grid that labels are written back to."""
        ...

    def frame(self, index: int) -> RgbImage:
        """Return one frame: uint8, shape (H, W, 3), RGB.

        Raises:
            BrokenImage: it does not decode.
        """
        ...


@dataclass(frozen=True)
class GreyFrames:
    """Frames of numbers in memory, all shown through one window.

    Attributes:
        values: any number type, shape (F, H, W).
        tone: from values to grey.
        inverted: whether low values are white.
    """

    values: Stored
    tone: Tone
    format: SequenceFormat
    modality: str | None
    rendering: str
    geometry: FrameGeometry
    source: SourceGrid
    inverted: bool = False

    @property
    def count(self) -> int:
        """Number of frames."""
        return int(self.values.shape[0])

    @property
    def height(self) -> int:
        """Rows of a frame."""
        return int(self.values.shape[1])

    @property
    def width(self) -> int:
        """Columns of a frame."""
        return int(self.values.shape[2])

    def frame(self, index: int) -> RgbImage:
        """Return one frame: uint8, shape (H, W, 3), RGB."""
        grey: Grey = in_bands(self.values[index], self.tone)
        if self.inverted:
            np.subtract(255, grey, out=grey)
        return to_rgb(grey)


def spacings(affine: Affine) -> tuple[float, float, float]:
    """Return the distances of neighbouring columns, rows and frames, millimetres."""
    columns, rows, frames = np.linalg.norm(affine[:3, :3], axis=0)
    return float(columns), float(rows), float(frames)


class OpenFrames(Protocol):
    """Opens sequences; synchronous and slow."""

    def __call__(
        self, files: Sequence[bytes], *, window: Window | None, preset: str | None
    ) -> Frames:
        """Open the one sequence that some files hold.

        Raises:
            UnsupportedImage, BrokenImage, ImageTooLarge, InvalidPrompt.
        """
        ...
