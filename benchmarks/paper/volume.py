"""What both volume readers return."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Volume(NamedTuple):
    """A scan as a stack of slices.

    Attributes:
        values: any number type, shape (slices, H, W), in the file's units (CT: HU).
        spacing: (row, column) size of a pixel in mm.
    """

    values: npt.NDArray[np.number]
    spacing: tuple[float, float]
