"""Antialiased sampling of square views from an image, and of view logits back onto it.

Both ways are one linear map per axis, so that what is sampled and what is pasted back agree.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from segmenter.contract import Box, RgbImage

FloatArray = npt.NDArray[np.float32]
# Rows of the result computed together. Few enough that, up to 512 pixels, the product stays small:
# the linear algebra library then starts no threads, which would fight the model's for the cores.
BLOCK = 8
# Columns that are pasted together: of an ordinary picture all.
COLUMNS = 1024
# A zoomed view is never of fewer source pixels than this share of the longer image side.
MIN_ZOOM = 1 / 16


class Rect(NamedTuple):
    """The part of an image that a view shows; it may reach beyond the image.

    Attributes:
        x: left edge, source pixels.
        y: upper edge, source pixels.
        width: source pixels.
        height: source pixels.
    """

    x: float
    y: float
    width: float
    height: float


def whole(shape: tuple[int, int]) -> Rect:
    """Return the rectangle of a whole image of shape (H, W); its view is squashed to a square."""
    return Rect(0.0, 0.0, float(shape[1]), float(shape[0]))


def zoom(box: Box, factor: float, shape: tuple[int, int]) -> Rect:
    """Return the square around a box.

    Args:
        box: in pixels of the image.
        factor: side of the square over the longer side of the box.
        shape: (H, W) of the image.
    """
    longer = max(box.x1 - box.x0, box.y1 - box.y0)
    # Never below one pixel: a smaller view may hold no pixel centre, and nothing could come back.
    side = max(longer * factor, MIN_ZOOM * max(shape), 1.0)
    return Rect((box.x0 + box.x1 - side) / 2, (box.y0 + box.y1 - side) / 2, side, side)


def axis_weights(size: int, start: float, extent: float, out: int) -> FloatArray:
    """Return the weights of source samples in output samples along one axis.

    A triangle as wide as an output sample (at least as a source sample): bilinear when enlarging,
    averaging when shrinking. Output samples whose centre is outside the source get no weight.

    Args:
        size: number of source samples.
        start: edge of the first output sample, in source samples.
        extent: of all output samples together, in source samples.
        out: number of output samples.

    Returns:
        float32, shape (out, size); rows sum to 1, or to 0 outside.

    Source: the filter of Pillow's ``Image.resize`` with ``BILINEAR`` (Pillow, ``Resample.c``).
    """
    step = extent / out
    centres = start + (np.arange(out) + 0.5) * step
    # Clamping lets an output sample beyond the last source centre take that source sample.
    nearest = np.clip(centres, 0.5, size - 0.5)
    distance: FloatArray = np.abs(np.arange(size) + 0.5 - nearest[:, None]) / max(step, 1.0)
    weights = np.maximum(1 - distance, 0).astype(np.float32)
    weights /= weights.sum(axis=1, keepdims=True)
    weights[(centres < 0) | (centres >= size)] = 0
    return weights


def sample_view(image: RgbImage, rect: Rect, side: int) -> FloatArray:
    """Sample a square view; what lies outside the image is 0 (black).

    Args:
        image: uint8, shape (H, W, 3), RGB.
        rect: what the view shows.
        side: of the view, pixels.

    Returns:
        float32, shape (side, side, 3), [0, 255].
    """
    height, width = image.shape[:2]
    down = axis_weights(height, rect.y, rect.height, side)
    across = axis_weights(width, rect.x, rect.width, side)
    rows = _apply(down, image.reshape(height, width * 3)).reshape(side, width, 3)
    columns = np.ascontiguousarray(rows.transpose(1, 0, 2)).reshape(width, side * 3)
    view = _apply(across, columns).reshape(side, side, 3)
    return np.ascontiguousarray(view.transpose(1, 0, 2))


def box_channel(box: Box, rect: Rect, side: int) -> FloatArray:
    """Draw a box as ones into a view: pixels whose centre is inside.

    Args:
        box: in pixels of the original image.
        rect: what the view shows.
        side: of the view, pixels.

    Returns:
        float32, shape (side, side), 0 or 1.
    """
    centres = np.arange(side) + 0.5
    x = rect.x + centres * rect.width / side
    y = rect.y + centres * rect.height / side
    down, across = (y >= box.y0) & (y < box.y1), (x >= box.x0) & (x < box.x1)
    return (down[:, None] & across[None, :]).astype(np.float32)


def paste_logits(
    logits: FloatArray, rect: Rect, shape: tuple[int, int], outside: float
) -> FloatArray:
    """Resample the logits of a view onto the image it was taken from.

    Args:
        logits: float32, shape (S, S).
        rect: what the view shows.
        shape: (H, W) of the image.
        outside: value of pixels the view does not show.

    Returns:
        float32, shape (H, W).
    """
    rows, down = _back(logits.shape[0], rect.y, rect.height, shape[0])
    columns, across = _back(logits.shape[1], rect.x, rect.width, shape[1])
    pasted = np.full(shape, outside, dtype=np.float32)
    tall = np.ascontiguousarray(_apply(down, logits).T)
    shown = pasted[rows, columns]
    # Some columns at a time, or the part that is seen would be there twice.
    for start in range(0, across.shape[0], COLUMNS):
        some = slice(start, start + COLUMNS)
        shown[:, some] = _apply(across[some], tall).T
    return pasted


def _back(side: int, start: float, extent: float, size: int) -> tuple[slice, FloatArray]:
    """Return the image samples a view shows along one axis and their weights over the view."""
    first = max(0, int(np.ceil(start - 0.5)))
    last = min(size, int(np.ceil(start + extent - 0.5)))
    scale = side / extent
    weights = axis_weights(side, (first - start) * scale, (last - first) * scale, last - first)
    return slice(first, last), weights


def _apply(weights: FloatArray, source: npt.NDArray[np.generic]) -> FloatArray:
    """Return ``weights @ source`` using only the source rows that have a weight.

    Args:
        weights: float32, shape (M, N), banded.
        source: any real dtype, shape (N, K).

    Returns:
        float32, shape (M, K).
    """
    result = np.zeros((weights.shape[0], source.shape[1]), dtype=np.float32)
    for start in range(0, weights.shape[0], BLOCK):
        band = weights[start : start + BLOCK]
        used = np.flatnonzero(band.any(axis=0))
        if used.size:
            rows = slice(used[0], used[-1] + 1)
            result[start : start + BLOCK] = band[:, rows] @ source[rows].astype(np.float32)
    return result
