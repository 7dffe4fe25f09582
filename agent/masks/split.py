"""Takes objects apart that touch each other, by a watershed of scikit-image. Pure."""

from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.measure import regionprops
from skimage.segmentation import watershed

from segmenter.contract import BinaryMask
from segmenter.masks.components import Components, components

Labels = npt.NDArray[np.int32]

# A piece that fills so much of its convex hull is one object.
ROUND_SOLIDITY = 0.9
# What is left of a cut object fills at least so much of its own convex hull.
_PART_SOLIDITY = 0.8
_SMOOTH_PX = 1.0
# Below it the shape of a piece says nothing.
_LEAST_PX = 20


class _Region(Protocol):
    """What is used of a region of scikit-image; `image` is bool, of the size of its box."""

    label: int
    area: float
    solidity: float
    image: BinaryMask
    slice: tuple[slice, slice]


def objects(mask: BinaryMask) -> Components:
    """Find the objects of a mask, those that touch each other apart: bool, shape (H, W)."""
    found = components(mask)
    labels = found.labels.copy()
    for piece in _regions(labels):
        parts = _split(piece)
        within = labels[piece.slice]
        for part in range(2, int(parts.max()) + 1):
            within[parts == part] = labels.max() + 1
    return Components(labels, np.bincount(labels[mask], minlength=int(labels.max()) + 1))


def _split(piece: _Region) -> Labels:
    """Number the round objects a piece is made of; a thing of its own stays 1.

    Centres are the peaks of the smoothed distance to the edge, at least a radius of the largest
    apart; borders are those of the watershed from them. A piece that is not made of round parts (a
    vessel tree) is not cut.

    Source: Beucher and Lantuejoul (1979); the marker-controlled watershed of scikit-image.
    """
    whole = piece.image.astype(np.int32)
    if piece.area < 2 * _LEAST_PX or piece.solidity >= ROUND_SOLIDITY:
        return whole
    inside = np.pad(piece.image, 1)
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(inside), _SMOOTH_PX)
    apart = max(2, round(float(distance.max())))
    peaks = peak_local_max(distance, min_distance=apart, labels=inside.astype(np.int32))
    markers = np.zeros(inside.shape, dtype=np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    parts = np.asarray(watershed(-distance, markers, mask=inside), dtype=np.int32)[1:-1, 1:-1]
    regions = _regions(parts)
    if any(part.area < _LEAST_PX or part.solidity < _PART_SOLIDITY for part in regions):
        return whole
    return parts


def _regions(labels: Labels) -> list[_Region]:
    return cast(list[_Region], regionprops(labels))
