"""How a stored grid is shown: frames along its widest spacing, turned as radiology has them.

Of two axes alike the thinner one is taken. The patient's head or front is up, the right side (else
the front) at the left. Nothing is resampled.
"""

from typing import NamedTuple

import nibabel
import numpy as np

from segmenter.contract import Spacing
from segmenter.formats.frames import Affine, FrameGeometry, SourceGrid
from segmenter.formats.grid import GridMeasures, measure_grid

# Of one size that a header states in two places; sforms of float32 agree far better.
SAME_SIZE = 0.01
# Determinants, mm3, of what is no grid at all.
SINGULAR = 1e-12


class Placement(NamedTuple):
    """Where a header puts its grid.

    Attributes:
        affine: float64, shape (4, 4), from source indices to millimetres, RAS.
        known: whether the place in the patient is the file's; else `affine` is assumed, to have a
            way to show it.
        sized: whether the sizes are the file's.
        stated_mm: size of a voxel along the source's axes, where it is stated apart from the
            affine.
        size_source: field that the sizes are from.
        rules: what was assumed or decided, in words.
    """

    affine: Affine
    known: bool
    sized: bool
    stated_mm: tuple[float, float, float] | None
    size_source: str
    rules: tuple[str, ...] = ()


def is_grid(affine: Affine) -> bool:
    """Tell whether an affine can be turned back."""
    return bool(np.isfinite(affine).all()) and abs(np.linalg.det(affine[:3, :3])) >= SINGULAR


def shown_grid(
    place: Placement, shape: tuple[int, int, int]
) -> tuple[SourceGrid, FrameGeometry, tuple[str, ...]]:
    """Decide how a grid is shown.

    Returns:
        The grid, where its frames are, and the words for both.
    """
    axes, flipped = _axes(place, shape)
    grid = SourceGrid(axes=axes, flipped=flipped, affine=place.affine if place.known else None)
    sizes, rule = _measures(place, axes)
    rules = (*place.rules, rule, sizes.shear_rule)
    geometry = FrameGeometry("depth")
    if place.sized:
        geometry = FrameGeometry(
            axis="depth",
            affine=_shown_affine(grid, shape),
            spacing=Spacing(
                row_mm=sizes.row_mm, column_mm=sizes.column_mm, source=place.size_source
            ),
            slice_mm=sizes.slice_mm,
            step_mm=sizes.step_mm,
            voxel_ml=sizes.voxel_ml,
        )
    return grid, geometry, tuple(rule for rule in rules if rule)


def _axes(
    place: Placement, shape: tuple[int, int, int]
) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Return the axes of shown columns, rows and frames, and which run backwards."""
    sizes = place.stated_mm or tuple(np.linalg.norm(place.affine[:3, :3], axis=0))
    through = max(range(3), key=lambda axis: (round(float(sizes[axis]), 3), -shape[axis], axis))
    # Of each source axis: the patient's axis it is nearest to, and its sign.
    nearest = nibabel.io_orientation(place.affine)  # type: ignore[no-untyped-call]
    plane = [axis for axis in range(3) if axis != through]
    rows = max(plane, key=lambda axis: float(nearest[axis, 0]))
    (columns,) = (axis for axis in plane if axis != rows)
    # Up is head (z+) or front (y+), so rows run down against them. At the left is the right side
    # (x+) or, from the side, the front (y+): columns run against them too.
    flipped = (bool(nearest[columns, 1] > 0), bool(nearest[rows, 1] > 0), False)
    return (columns, rows, through), flipped


def _shown_affine(grid: SourceGrid, shape: tuple[int, int, int]) -> Affine | None:
    """Return the affine of shown indices; `shape` is the source's."""
    if grid.affine is None:
        return None
    turned = np.zeros((3, 2))
    for shown, (axis, flip) in enumerate(zip(grid.axes, grid.flipped, strict=True)):
        turned[axis] = shown, -1 if flip else 1
    back: Affine = nibabel.orientations.inv_ornt_aff(turned, shape)  # type: ignore[no-untyped-call]
    return grid.affine @ back


def _measures(place: Placement, axes: tuple[int, int, int]) -> tuple[GridMeasures, str | None]:
    """Return sizes of the shown grid, and a word where the header contradicts itself.

    The sizes are those stated, along the axes of the affine, as ITK takes them too. Where both make
    the same volume the affine's are taken: what is stated may mean the way along a sheared axis or
    the distance along its normal.
    """
    placed = place.affine.copy()
    norms = np.linalg.norm(placed[:3, :3], axis=0)
    rule = None
    if place.stated_mm is not None:
        stated, volume = np.array(place.stated_mm), abs(float(np.linalg.det(placed[:3, :3])))
        as_norms = np.abs(stated / norms - 1.0).max() <= SAME_SIZE
        if as_norms or abs(np.prod(stated) / volume - 1.0) > SAME_SIZE:
            placed[:3, :3] *= stated / norms
            rule = None if as_norms else f"voxel size of {place.size_source}, the sform has another"
    return measure_grid(placed[:, [*axes, 3]]), rule
