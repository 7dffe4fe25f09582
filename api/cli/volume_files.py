"""The files that ``medsam3 segment`` writes for a sequence, and the picture among them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agent.drawing.overlay import LabelledMask, draw_overlay
from api.cli.output import to_json, write_files
from api.schemas.volume_answers import FramesAnswer, VolumeAnswer
from segmenter.contract import RgbImage
from segmenter.formats.decode import decode
from segmenter.formats.frames import Frames
from segmenter.formats.raster.image import encode_png
from segmenter.masks import rle
from segmenter.volumes.contract import FrameResult

# Three by three tiles of about 500 pixels fit a screen.
COLUMNS = 3
MAX_TILES = 9
GAP_PX = 8


def write_volume(
    folder: Path, answer: VolumeAnswer, frames: FramesAnswer, label_map: bytes, overview: bytes
) -> None:
    """Write ``result.json``, ``frames.json``, ``labels.nii.gz`` and ``overview.png``.

    Raises:
        UsageFault: the folder cannot be written to.
    """
    contents = {
        "result.json": to_json(answer),
        "frames.json": to_json(frames, indent=1),
        "labels.nii.gz": label_map,
        "overview.png": overview,
    }
    write_files(folder, contents)


def draw_overview(frames: Frames, found: Sequence[FrameResult]) -> bytes:
    """Draw up to nine frames side by side, those with objects before others; returns a PNG."""
    shown = evenly([each for each in found if each.objects] or list(found), MAX_TILES)
    tiles = [_tile(frames.frame(each.index), each) for each in shown]
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // COLUMNS)
    columns = min(COLUMNS, len(tiles))
    sheet = np.zeros(
        (rows * (height + GAP_PX) - GAP_PX, columns * (width + GAP_PX) - GAP_PX, 3), dtype=np.uint8
    )
    for number, tile in enumerate(tiles):
        top, left = (number // COLUMNS) * (height + GAP_PX), (number % COLUMNS) * (width + GAP_PX)
        sheet[top : top + height, left : left + width] = tile
    return encode_png(sheet)


def evenly(found: Sequence[FrameResult], count: int) -> list[FrameResult]:
    """Choose at most `count` items, the first and the last among them, evenly between."""
    if len(found) <= count:
        return list(found)
    return [found[round(step * (len(found) - 1) / (count - 1))] for step in range(count)]


def _tile(pixels: RgbImage, found: FrameResult) -> RgbImage:
    """Outline a frame's objects; half the size that overlays have."""
    masks = [
        LabelledMask(f"frame {found.index}: {shown.object_id}", rle.decode(shown.rle))
        for shown in found.objects
    ]
    drawn = decode(draw_overlay(pixels, masks)).pixels
    height, width = drawn.shape[0] // 2, drawn.shape[1] // 2
    quads = drawn[: 2 * height, : 2 * width].reshape(height, 2, width, 2, 3)
    halved: RgbImage = quads.mean(axis=(1, 3)).astype(np.uint8)
    return halved
