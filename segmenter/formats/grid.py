"""What a grid of voxels measures: sizes, distances and shear, read off its affine. Pure.

A scanner with a tilted gantry moves each slice within its plane as well: frames are then less far
apart than their first pixels, and a product of three sides is too large a voxel.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# Cosines and positions written with few digits turn an axis by less (three decimals: 0.06 degrees).
# At this angle the sides multiply to a voxel that is 0.00015 percent too large.
SHEAR_DEGREES = 0.1
MM3_PER_ML = 1000.0


class GridMeasures(NamedTuple):
    """Sizes of a grid, in millimetres where its affine is.

    Attributes:
        column_mm: between neighbouring pixels of a row.
        row_mm: between neighbouring pixels of a column.
        slice_mm: between the planes of neighbouring frames, along their normal.
        step_mm: between a pixel and the same one of the next frame.
        voxel_ml: volume of a voxel, millilitres.
        shear_degrees: of the step against the normal of the frames; 0 where they agree.
        skew_degrees: of columns and rows from a right angle.
    """

    column_mm: float
    row_mm: float
    slice_mm: float
    step_mm: float
    voxel_ml: float
    shear_degrees: float
    skew_degrees: float

    @property
    def shear_rule(self) -> str | None:
        """Say how the grid is sheared; None if it is not, beyond rounding."""
        said = [
            f"the grid is sheared by {degrees:.1f} degrees{where}"
            for degrees, where in (
                (self.shear_degrees, ""),
                (self.skew_degrees, " within its frames"),
            )
            if degrees > SHEAR_DEGREES
        ]
        return " and ".join(said) or None


def measure_grid(affine: npt.NDArray[np.float64]) -> GridMeasures:
    """Measure a grid.

    Args:
        affine: float64, shape (4, 4), from (column, row, frame) to millimetres; not singular.
    """
    across, down, step = affine[:3, :3].T
    column_mm, row_mm, step_mm = (float(np.linalg.norm(side)) for side in (across, down, step))
    normal = np.cross(across, down)
    area = float(np.linalg.norm(normal))
    volume = abs(float(normal @ step))
    # By both products: an arc cosine alone is blind below 1e-8, and rounds over 1.
    shear = np.degrees(np.arctan2(np.linalg.norm(np.cross(normal, step)), volume))
    skew = np.degrees(np.arctan2(abs(across @ down), area))
    return GridMeasures(
        column_mm=column_mm,
        row_mm=row_mm,
        slice_mm=volume / area,
        step_mm=step_mm,
        voxel_ml=volume / MM3_PER_ML,
        shear_degrees=float(shear),
        skew_degrees=float(skew),
    )
