"""Turns one sample into one training view: crop, flip, turn, light, box; numpy and Pillow."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Pixels = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]
Bend = npt.NDArray[np.float64]
FloatBox = npt.NDArray[np.float32]

# More source pixels per view pixel than this are averaged first, against aliasing.
MAX_STEP = 1.5
# A zoomed view is never of fewer source pixels than this share of the longer image side.
MIN_ZOOM = 1 / 16
# Elastic change of shape: the nodes of a 4 x 4 grid move by up to 3 % of a view of 256 pixels.
CELLS = 4
MAX_BEND = 8.0
BEND_SHARE = 0.35


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


def render(
    rgb: Pixels, mask: Pixels, matrix: Matrix, side: int, bend: Bend | None = None
) -> tuple[Pixels, Pixels]:
    """Sample a view; what lies outside the picture is black and unmasked.

    Args:
        rgb: uint8, shape (H, W, 3).
        mask: uint8, shape (H, W), 0 or 255.
        matrix: float64, shape (2, 3): view to source coordinates, origin at the outer corner.
        side: of the view, pixels.
        bend: how the nodes of a grid over the view are moved first, see `draw_bend`.

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
    bilinear = Image.Resampling.BILINEAR
    if bend is None:
        coefficients = tuple(float(value) for value in local.ravel())
        view = source.transform((side, side), Image.Transform.AFFINE, coefficients, bilinear)
    else:
        mesh = _mesh(local, side, bend)
        view = source.transform((side, side), Image.Transform.MESH, mesh, bilinear)
    return _split(view)


def draw_bend(rng: np.random.Generator) -> Bend | None:
    """Draw how far the nodes of a grid over a view move; None for a straight view.

    Returns:
        float64, shape (CELLS + 1, CELLS + 1, 2): by row, column and axis, in view pixels.
    """
    if rng.random() >= BEND_SHARE:
        return None
    amount = rng.uniform(0, MAX_BEND)
    return rng.uniform(-amount, amount, (CELLS + 1, CELLS + 1, 2))


def _mesh(
    matrix: Matrix, side: int, bend: Bend
) -> list[tuple[tuple[int, int, int, int], tuple[float, ...]]]:
    """Return Pillow's mesh: rectangles of the view and the source quadrilaterals behind them."""
    lines = np.linspace(0, side, CELLS + 1).round().astype(int)
    nodes = np.stack(np.meshgrid(lines, lines), axis=-1) + bend
    nodes = nodes @ matrix[:, :2].T + matrix[:, 2]
    mesh = []
    for row in range(CELLS):
        for column in range(CELLS):
            place = (lines[column], lines[row], lines[column + 1], lines[row + 1])
            # Upper left, lower left, lower right, upper right.
            turn = ((0, 0), (1, 0), (1, 1), (0, 1))
            quad = [nodes[row + down, column + across] for down, across in turn]
            x0, y0, x1, y1 = (int(value) for value in place)
            mesh.append(((x0, y0, x1, y1), tuple(float(value) for node in quad for value in node)))
    return mesh


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
    if rng.random() < 0.2:
        rgb = _shade(rgb, rng)
    if modality == "ultrasound" and rng.random() < 0.25:
        rgb = _speckle(rgb, rng)
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


def _shade(rgb: Pixels, rng: np.random.Generator) -> Pixels:
    """Light the picture unevenly: a smooth gain between 0.7 and 1.3."""
    coarse = rng.uniform(0.7, 1.3, (3, 3)).astype(np.float32)
    field = Image.fromarray(coarse).resize(rgb.shape[1::-1], Image.Resampling.BICUBIC)
    shaded: Pixels = np.clip(rgb * np.asarray(field)[..., None], 0, 255).astype(np.uint8)
    return shaded


def _speckle(rgb: Pixels, rng: np.random.Generator) -> Pixels:
    """Multiply by correlated grain, as interference of echoes does."""
    height, width = rgb.shape[:2]
    shape = (height // 2, width // 2)
    grain = rng.normal(1, rng.uniform(0.05, 0.2), shape).astype(np.float32)
    field = Image.fromarray(grain).resize((width, height), Image.Resampling.BILINEAR)
    shaded: Pixels = np.clip(rgb * np.asarray(field)[..., None], 0, 255).astype(np.uint8)
    return shaded
