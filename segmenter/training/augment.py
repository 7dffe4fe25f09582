"""Turns one sample into one training view: crop, flip, turn, light, box; numpy and Pillow."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Pixels = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]
FloatBox = npt.NDArray[np.float32]

# More source pixels per view pixel than this are averaged first, against aliasing.
MAX_STEP = 1.5
# A zoomed view is never of fewer source pixels than this share of the longer image side.
MIN_ZOOM = 1 / 16


class Turns(NamedTuple):
    """Which movements leave a picture anatomically plausible; ``degrees`` is the widest tilt."""

    mirror: bool
    any_quarter: bool
    degrees: float


TURNS: dict[str, Turns] = {
    # The transducer and gravity give ultrasound an up and down; the heart a left and right.
    "ultrasound": Turns(True, False, 10),
    "colonoscopy": Turns(True, True, 25),
    "dermoscopy": Turns(True, True, 25),
    "fundus": Turns(True, True, 15),
    "microscopy": Turns(True, True, 15),
    "chest x-ray": Turns(True, False, 10),
    "brain mri": Turns(True, False, 15),
    "cardiac mri": Turns(False, False, 25),
    "prostate mri": Turns(True, False, 10),
}
COLOURED = frozenset({"colonoscopy", "dermoscopy", "fundus", "microscopy"})


def squash(rgb: Pixels, mask: Pixels, side: int) -> tuple[Pixels, Pixels]:
    """Resize the whole picture to a square, averaging over what falls on a pixel.

    Args:
        rgb: uint8, shape (H, W, 3).
        mask: uint8, shape (H, W), 0 or 255.
        side: of the result, pixels.

    Returns:
        uint8 (side, side, 3) and uint8 (side, side), 0 or 1.
    """
    picture = _join(rgb, mask).resize((side, side), Image.Resampling.BILINEAR)
    return _split(picture)


def render(rgb: Pixels, mask: Pixels, matrix: Matrix, side: int) -> tuple[Pixels, Pixels]:
    """Sample a view; what lies outside the picture is black and unmasked.

    Args:
        rgb: uint8, shape (H, W, 3).
        mask: uint8, shape (H, W), 0 or 255.
        matrix: float64, shape (2, 3): view to source coordinates, origin at the outer corner.
        side: of the view, pixels.

    Returns:
        uint8 (side, side, 3) and uint8 (side, side), 0 or 1.
    """
    corners = matrix @ np.array([[0, side, 0, side], [0, 0, side, side], [1, 1, 1, 1]])
    limit = np.array(mask.shape[::-1])
    low = np.clip(np.floor(corners.min(axis=1)).astype(int) - 4, 0, limit - 1)
    high = np.clip(np.ceil(corners.max(axis=1)).astype(int) + 4, low + 1, limit)
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    source = _join(rgb[window], mask[window])
    local = matrix.copy()
    local[:, 2] -= low
    step = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    while step > MAX_STEP and min(source.size) > 2:
        source = source.reduce(2)
        local, step = local / 2, step / 2
    coefficients = tuple(float(value) for value in local.ravel())
    view = source.transform(
        (side, side), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
    )
    return _split(view)


def _join(rgb: Pixels, mask: Pixels) -> Image.Image:
    # "RGBX" and not "RGBA": Pillow would multiply the colours by alpha while resampling.
    joined = np.dstack([rgb, mask])
    size = (joined.shape[1], joined.shape[0])
    return Image.frombuffer("RGBX", size, joined.tobytes(), "raw", "RGBX", 0, 1)


def _split(picture: Image.Image) -> tuple[Pixels, Pixels]:
    joined = np.frombuffer(picture.tobytes(), dtype=np.uint8)
    joined = joined.reshape(picture.size[1], picture.size[0], 4)
    return joined[..., :3].copy(), (joined[..., 3] >= 128).astype(np.uint8)


def view_matrix(
    centre: tuple[float, float],
    extent: tuple[float, float],
    side: int,
    *,
    degrees: float = 0.0,
    quarter: int = 0,
    mirror: bool = False,
) -> Matrix:
    """Return the map from a square view to the source.

    Args:
        centre: of the view, source pixels (x, y).
        extent: width and height of the seen rectangle, source pixels.
        side: of the view, pixels.
        degrees: tilt.
        quarter: further quarter turns.
        mirror: flip left and right first.
    """
    angle = np.deg2rad(degrees + 90 * quarter)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    flip = np.diag([-1.0 if mirror else 1.0, 1.0])
    linear = np.diag(np.array(extent) / side) @ turn @ flip
    offset = np.array(centre) - linear @ np.full(2, side / 2)
    return np.column_stack([linear, offset])


def zoom_side(box: FloatBox, factor: float, shape: tuple[int, int]) -> float:
    """Return the side of the square crop around a box, source pixels.

    Args:
        box: float32, shape (4,), xyxy.
        factor: side over the box's longer side.
        shape: (H, W) of the source.
    """
    longer = float(max(box[2] - box[0], box[3] - box[1]))
    return max(longer * factor, MIN_ZOOM * max(shape))


def keep_inside(mask: Pixels, box: FloatBox) -> Pixels:
    """Return the mask with everything outside the box (xyxy, whole pixels) cleared."""
    x0, y0, x1, y1 = (int(value) for value in box)
    kept = np.zeros_like(mask)
    kept[y0:y1, x0:x1] = mask[y0:y1, x0:x1]
    return kept


def tight_box(mask: Pixels) -> FloatBox | None:
    """Return the box around the set pixels of a mask, float32 (4,), or None if there are none."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if len(columns) == 0:
        return None
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float32)


def jitter(box: FloatBox, amount: float, side: int, rng: np.random.Generator) -> FloatBox:
    """Move each side of a box by up to ``amount`` of the box's size, within the view."""
    width, height = box[2] - box[0], box[3] - box[1]
    shift = rng.uniform(-amount, amount, 4) * np.array([width, height, width, height])
    moved = np.clip(box + shift, 0, side).astype(np.float32)
    return moved if moved[2] - moved[0] >= 1 and moved[3] - moved[1] >= 1 else box


def relight(rgb: Pixels, modality: str, rng: np.random.Generator) -> Pixels:
    """Change brightness, contrast, gamma and (of coloured modalities) colour; blur; add noise.

    Args:
        rgb: uint8, shape (H, W, 3).
        modality: of the picture; decides whether colour may change.
        rng: source of chance.
    """
    coloured = modality in COLOURED
    if coloured and rng.random() < 0.06:
        rgb = np.repeat(rgb.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    if rng.random() < 0.85:
        rgb = _curves(rgb, coloured, rng)
    if rng.random() < 0.1:
        blur = ImageFilter.GaussianBlur(float(rng.uniform(0.4, 1.4)))
        rgb = np.array(Image.fromarray(rgb).filter(blur))
    if rng.random() < 0.12:
        grain = rng.normal(0, rng.uniform(2, 9), (*rgb.shape[:2], 1))
        rgb = np.clip(rgb + grain, 0, 255).astype(np.uint8)
    return rgb


def _curves(rgb: Pixels, coloured: bool, rng: np.random.Generator) -> Pixels:
    """Apply one random tone curve, with a gain per channel if coloured."""
    level = np.arange(256) / 255
    tone = level ** np.exp(np.clip(rng.normal(0, 0.22), -0.6, 0.6))
    tone = (tone - 0.5) * rng.uniform(0.75, 1.3) + 0.5 + rng.uniform(-0.12, 0.12)
    gains = rng.uniform(0.88, 1.12, 3) if coloured else np.ones(3)
    curves = np.clip(tone[None] * gains[:, None] * 255, 0, 255).astype(np.uint8)
    return np.stack([curves[channel][rgb[..., channel]] for channel in range(3)], axis=-1)
