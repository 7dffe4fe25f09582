"""Where the frames of a chosen sequence are: grid, sizes, and what to tell of both. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from segmenter.errors import MixedFiles
from segmenter.formats.dicom.series.phases import Volume, frame_rate
from segmenter.formats.dicom.series.planes import (
    UNEVEN,
    EvenGrid,
    Plane,
    UnevenSlices,
    Vector,
)
from segmenter.formats.dicom.series.rounded import grid_of
from segmenter.formats.dicom.series.units import SeriesFrame, place_of
from segmenter.formats.frames import Affine, FrameGeometry, SourceGrid
from segmenter.formats.grid import measure_grid

# Closer to the even grid than this nobody needs to be told.
TOLD_RESIDUAL_MM = 1e-3
# LPS, DICOM's patient space, to RAS, ours. Source: PS3.3, C.7.6.2.1.1.
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class Place(NamedTuple):
    """Where frames are, for those who look and for what is written, and what to tell of it."""

    geometry: FrameGeometry
    source: SourceGrid
    rules: tuple[str, ...]


def _grid(volume: Volume) -> EvenGrid | None:
    """Lay the slices of a volume onto their grid; None for a clip, one slice, or without planes.

    Raises:
        MixedFiles: there is no even one.
    """
    planes = [frame.facts.plane for frame in volume.frames]
    known = [plane for plane in planes if plane is not None]
    if volume.axis == "time" or len(known) < 2:
        return None
    spacing = volume.frames[0].facts.spacing
    side = min(spacing.row_mm, spacing.column_mm) if spacing else None
    try:
        grid = grid_of(
            known,
            side,
            between_mm=volume.frames[0].facts.between_mm,
            thickness_mm=volume.frames[0].facts.thickness_mm,
        )
    except UnevenSlices as error:
        raise _uneven(volume.frames, error) from None
    _check_gaps(grid, known[0], volume.frames[0])
    return grid


def _check_gaps(grid: EvenGrid, plane: Plane, first: SeriesFrame) -> None:
    """Refuse gaps that are none by what the slices say: their step would be too small.

    Raises:
        MixedFiles.
    """
    step, said = abs(float(grid.step @ plane.normal)), first.facts.between_mm
    if grid.missing and said is not None and said > step * (1 + UNEVEN):
        raise MixedFiles(
            f"the distances of the slices are uneven: multiples of {step:g} mm"
            f" (ImagePositionPatient) where SpacingBetweenSlices is {said:g} mm; send the files of"
            " one series, whole"
        )


def _uneven(frames: Sequence[SeriesFrame], error: UnevenSlices) -> MixedFiles:
    """Say which slices are off, and by what."""
    told = []
    for index in error.pairs:
        here, there = frames[index].facts.plane, frames[index + 1].facts.plane
        assert here is not None
        assert there is not None
        moved = there.position - here.position
        far = "\\".join(f"{side:g}" for side in np.round(moved, 4))
        far = far if error.within else f"{there.along - here.along:.4g}"
        between = f"{place_of(frames[index])} and {place_of(frames[index + 1])}"
        told.append(f"{far} mm between {between}")
    what = "shifts within the plane" if error.within else "distances"
    return MixedFiles(
        f"the {what} of the slices are uneven (ImagePositionPatient): {told[0]}, {told[1]}; send"
        " the files of one series, whole"
    )


def place_of_volume(volume: Volume) -> Place:
    """Return where the frames of a volume or clip are.

    Raises:
        MixedFiles: slices that lie on no even grid.
    """
    grid = _grid(volume)
    first = volume.frames[0]
    file, plane, spacing = first.file, first.facts.plane, first.facts.spacing
    fps, uneven = frame_rate(volume.times_ms) if volume.axis == "time" else (None, None)
    if volume.axis == "time":
        fps = fps or file.stated_fps
    rules = [uneven]
    places = grid.places if grid and grid.missing else None
    if plane is None or spacing is None:
        several = len(volume.frames) > 1 and volume.axis == "depth"
        rules.append("positions of the frames not told" if several and plane is None else None)
        rules.append("pixel size not told" if plane is not None else None)
        distance = abs(float(grid.step @ plane.normal)) if grid and plane else None
        geometry = FrameGeometry(volume.axis, spacing=spacing, slice_mm=distance, fps=fps)
        return Place(geometry, SourceGrid(places=places), _told(rules))
    thickness = None if grid else first.facts.thickness_mm or first.facts.between_mm
    step = grid.step if grid else plane.normal * (thickness or 1.0)
    affine = _affine(first, grid.origin if grid else plane.position, step)
    geometry, sizes = FrameGeometry(volume.axis, affine, spacing, fps=fps), measure_grid(affine)
    if volume.axis == "depth" and (grid or thickness):
        geometry = replace(
            geometry, slice_mm=sizes.slice_mm, step_mm=sizes.step_mm, voxel_ml=sizes.voxel_ml
        )
    rules += [
        None if grid or thickness else "slice thickness not told",
        f"{grid.missing} slice{'s' * (grid.missing > 1)} missing between"
        if grid and grid.missing
        else None,
        f"positions even within {grid.residual_mm:.2g} mm"
        if grid and grid.residual_mm > TOLD_RESIDUAL_MM
        else None,
        sizes.shear_rule,
    ]
    source = SourceGrid(
        # A volume with a space of its own is nowhere in the patient.
        affine=affine if file.of_patient else None,
        places=places,
    )
    return Place(geometry, source, _told(rules))


def _told(rules: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(rule for rule in rules if rule)


def _affine(first: SeriesFrame, origin: Vector, step: Vector) -> Affine:
    """Return the affine of (column, row, place), RAS."""
    plane, spacing = first.facts.plane, first.facts.spacing
    assert plane is not None
    assert spacing is not None
    affine = np.eye(4)
    affine[:3, 0] = plane.across * spacing.column_mm
    affine[:3, 1] = plane.down * spacing.row_mm
    affine[:3, 2] = step
    affine[:3, 3] = origin
    moved: Affine = TO_RAS @ affine
    return moved
