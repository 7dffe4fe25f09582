"""Volumes: where our voxels are, and where ITK or the tags say that they are."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813  # its own documentation calls it so
from pydicom import dcmread

from benchmarks.intake.contract import (
    LEVEL_TOLERANCE,
    MM_TOLERANCE,
    Outcome,
    Space,
    TruthIsMissing,
    Volume,
    VolumeTruth,
)
from segmenter.errors import InputError
from segmenter.formats.decoded import Window
from segmenter.formats.frames import Frames, ReadOptions
from segmenter.formats.limits import Limits
from segmenter.formats.sequences import open_frames

FloatArray = npt.NDArray[np.float64]
# From RAS, ours, to LPS, DICOM's and ITK's.
TO_LPS = np.array([-1.0, -1.0, 1.0])
# Of the ground truth by tags: a slice whose plane a point lies in may be so far off.
_FAR = 1e9


@dataclass(frozen=True)
class ItkSpace:
    """A volume as ITK places it."""

    image: Any

    @property
    def frames(self) -> int:
        """How many slices it has."""
        return int(self.image.GetSize()[2])

    def locate(self, point: FloatArray) -> tuple[float, float]:
        """See `Space`."""
        exact = np.array(self.image.TransformPhysicalPointToContinuousIndex(point.tolist()))
        nearest = np.rint(exact).astype(int)
        size = np.array(self.image.GetSize())
        if (nearest < 0).any() or (nearest >= size).any():
            return _FAR, 0.0
        at = np.array(self.image.TransformIndexToPhysicalPoint(nearest.tolist()))
        return float(np.linalg.norm(at - point)), float(self.image[nearest.tolist()])


@dataclass(frozen=True)
class Plane:
    """One slice by its tags.

    Attributes:
        corner: centre of the first pixel, LPS millimetres.
        steps: to the next column and the next row, shape (2, 3).
        values: rescaled, shape (H, W).
    """

    corner: FloatArray
    steps: FloatArray
    values: FloatArray


@dataclass(frozen=True)
class TagSpace:
    """Slices as their own tags place them: true where slices are shifted against each other."""

    planes: Sequence[Plane]

    @property
    def frames(self) -> int:
        """How many slices there are."""
        return len(self.planes)

    def locate(self, point: FloatArray) -> tuple[float, float]:
        """See `Space`."""
        return min((_on_plane(plane, point) for plane in self.planes), key=lambda found: found[0])


def _on_plane(plane: Plane, point: FloatArray) -> tuple[float, float]:
    along = np.linalg.norm(plane.steps, axis=1)
    unit = plane.steps / along[:, None]
    column, row = np.rint((unit @ (point - plane.corner)) / along).astype(int)
    height, width = plane.values.shape
    if not (0 <= column < width and 0 <= row < height):
        return _FAR, 0.0
    at = plane.corner + column * plane.steps[0] + row * plane.steps[1]
    return float(np.linalg.norm(at - point)), float(plane.values[row, column])


def by_itk() -> VolumeTruth:
    """ITK's own reading of a series, a NIfTI file or a multi-frame file."""
    return VolumeTruth("SimpleITK", _read_by_itk)


def by_tags() -> VolumeTruth:
    """Position, orientation and spacing of every slice, read by pydicom."""
    return VolumeTruth("tags of each slice (pydicom)", _read_by_tags)


def _read_by_itk(files: list[bytes]) -> Space:
    with tempfile.TemporaryDirectory() as folder:
        suffix = "nii" if files[0][344:348] in (b"n+1\0", b"ni1\0") else "dcm"
        paths = [Path(folder) / f"{number:04d}.{suffix}" for number in range(len(files))]
        for path, content in zip(paths, files, strict=True):
            path.write_bytes(content)
        try:
            if len(paths) == 1:
                return ItkSpace(sitk.ReadImage(str(paths[0])))
            reader: Any = sitk.ImageSeriesReader
            names = reader.GetGDCMSeriesFileNames(folder)
            return ItkSpace(sitk.ReadImage(names))
        except RuntimeError as error:
            raise TruthIsMissing("SimpleITK does not read it") from error


def _read_by_tags(files: list[bytes]) -> Space:
    planes: list[Plane] = []
    for content in files:
        header: Any = dcmread(BytesIO(content))
        stored = header.pixel_array.astype(np.float64)
        frames = stored if stored.ndim == 3 else stored[None]
        groups = header.get("PerFrameFunctionalGroupsSequence") or [None] * len(frames)
        planes += [_plane(header, *pair) for pair in zip(groups, frames, strict=True)]
    return TagSpace(planes)


def _plane(header: Any, group: Any, stored: FloatArray) -> Plane:
    def of(sequence: str, keyword: str, default: Any = None) -> Any:
        shared = (header.get("SharedFunctionalGroupsSequence") or [{}])[0]
        for holder in (group or {}, shared):
            if sequence in holder and keyword in holder[sequence][0]:
                return holder[sequence][0][keyword].value
        return header.get(keyword, default)

    cosines = np.array(of("PlaneOrientationSequence", "ImageOrientationPatient"), float)
    down_mm, across_mm = (float(side) for side in of("PixelMeasuresSequence", "PixelSpacing"))
    slope = float(of("PixelValueTransformationSequence", "RescaleSlope", 1))
    intercept = float(of("PixelValueTransformationSequence", "RescaleIntercept", 0))
    return Plane(
        np.array(of("PlanePositionSequence", "ImagePositionPatient"), float),
        np.stack([cosines[:3] * across_mm, cosines[3:] * down_mm]),
        stored * slope + intercept,
    )


def check_volume(given: Volume) -> Outcome:
    """Compare the places and the grey of voxels; see `benchmarks.intake.check.check`."""
    files = given.build()
    name = "to be refused" if given.truth is None else given.truth.name
    window = Window(given.center, given.width)
    try:
        frames = open_frames(files, Limits(), ReadOptions(window=window))
        if given.truth is not None and frames.geometry.affine is None:
            return Outcome(given.name, given.kind, "no place in the patient", name, "", "wrong")
        if given.truth is None:
            return Outcome(given.name, given.kind, frames.rendering, name, "", "wrong")
        truth = given.truth.read(files)
        millimetres, levels = _largest(frames, truth, window)
    except InputError as error:
        return Outcome(given.name, given.kind, str(error), name, "", "refused with words")
    said = f"{millimetres:.3f} mm, {levels} of 255" if millimetres < _FAR else "outside of it"
    ours = f"{frames.count} slices, {_mm(frames.geometry.slice_mm)} apart"
    if frames.count != truth.frames:
        said, millimetres = f"{truth.frames} slices", _FAR
    allowed = MM_TOLERANCE + given.rounding_mm
    good = millimetres <= allowed and levels <= LEVEL_TOLERANCE
    return Outcome(given.name, given.kind, ours, name, said, "right" if good else "wrong")


def _mm(length: float | None) -> str:
    return "unknown" if length is None else f"{length:.3f} mm"


def _largest(frames: Frames, truth: Space, window: Window) -> tuple[float, int]:
    """Return the largest distance and the largest difference of grey over probes of all frames."""
    affine = frames.geometry.affine
    assert affine is not None
    places = frames.source.places or range(frames.count)
    millimetres, levels = 0.0, 0
    for index, place in enumerate(places):
        shown = frames.frame(index)[..., 0]
        for column, row in _probes(frames.width, frames.height):
            at = (affine @ np.array([column, row, place, 1.0]))[:3] * TO_LPS
            distance, value = truth.locate(at)
            millimetres = max(millimetres, distance)
            levels = max(levels, abs(int(shown[row, column]) - _level(value, window)))
    return millimetres, levels


def _probes(width: int, height: int) -> Sequence[tuple[int, int]]:
    """The corners, and places that no mirroring leaves alone."""
    inside = [(width // 4, height // 3), (width // 3, 2 * height // 3), (width // 2, height // 5)]
    return [(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1), *inside]


def _level(value: float, window: Window) -> int:
    low = window.center - window.width / 2
    return round(float(np.clip((value - low) / window.width, 0, 1)) * 255)
