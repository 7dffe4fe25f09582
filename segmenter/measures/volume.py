"""The longest diameter of an object in a volume. Pure.

Between outer corners of its voxels, each as thick as the planes of two frames are apart; frames on
which nothing was found add nothing.
"""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import ConvexHull

from segmenter.contract import Line3d, Spacing
from segmenter.measures.outline import Corners, farthest


def longest_diameter(
    corners: Sequence[tuple[int, Corners]], spacing: Spacing, slice_mm: float
) -> Line3d:
    """Return the longest diameter of an object.

    Args:
        corners: of the object on each frame that it is on: the frame's index, and what
            `segmenter.measures.outline.hull_corners` gives. At least one.
        spacing: size of a pixel.
        slice_mm: distance of the planes of two frames.
    """
    faces = [
        np.column_stack((each, np.full(len(each), face)))
        for index, each in corners
        for face in (index, index + 1)
    ]
    every = np.concatenate(faces)
    size = np.array((spacing.column_mm, spacing.row_mm, slice_mm))
    hull = every[ConvexHull(every * size).vertices]
    mm, pairs = farthest(hull * size)
    start, end = sorted((hull[number].tolist() for number in pairs[0]), key=lambda at: at[::-1])
    return Line3d(mm=mm, start=tuple(start), end=tuple(end))
