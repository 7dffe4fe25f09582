"""The picture of a sequence that was segmented: some of its frames, each object in one colour."""

from collections.abc import Sequence

from agent.drawing.colours import COLOURS
from agent.drawing.overlay import LabelledMask
from agent.drawing.tiles import Tile, draw_tiles
from segmenter.contract import Spacing
from segmenter.formats.frames import Frames
from segmenter.masks import rle
from segmenter.volumes.contract import FrameResult

# Three by three tiles of about 500 pixels fit a screen.
MAX_TILES = 9


def draw_overview(frames: Frames, found: Sequence[FrameResult], name: str) -> bytes:
    """Draw up to nine frames side by side, those with objects before others; returns a PNG.

    Args:
        frames: all of the sequence.
        found: the frames that were looked at, at least one.
        name: what was looked for.
    """
    shown = evenly([each for each in found if each.objects] or list(found), MAX_TILES)
    spacing = frames.geometry.spacing
    tiles = [
        Tile(frames.frame(each.index), _labelled(each, spacing), f"frame {each.index}")
        for each in shown
    ]
    legend = [(line, number - 1) for number, line in objects_in(found, name).items()]
    return draw_tiles(
        title_of(found, shown, name),
        tiles,
        legend=legend[: len(COLOURS)],
        spacing=spacing,
    )


def title_of(found: Sequence[FrameResult], shown: Sequence[FrameResult], name: str) -> str:
    """Say what was found, on how many frames, and how many of them are not shown."""
    count = len(objects_in(found, name))
    on = sum(1 for each in found if each.objects)
    if count == 0:
        told = f"{name}: none found on {_counted(len(found), 'frame')}"
        return told + _left_out(len(found) - len(shown), "")
    objects = _counted(count, "object")
    told = f"{name}: {objects} on {on} of {_counted(len(found), 'frame')}"
    told += _left_out(on - len(shown), " with an object")
    extra = count - len(COLOURS)
    return f"{told}; {_counted(extra, 'object')} not listed below" if extra > 0 else told


def _counted(count: int, word: str) -> str:
    return f"1 {word}" if count == 1 else f"{count} {word}s"


def _left_out(count: int, which: str) -> str:
    return f"; {_counted(count, 'frame')}{which} left out here" if count else ""


def objects_in(found: Sequence[FrameResult], name: str) -> dict[int, str]:
    """Return a line for each object, by its number: what it is, and on which frames."""
    frames: dict[int, list[int]] = {}
    for each in found:
        for shown in each.objects:
            frames.setdefault(shown.object_id, []).append(each.index)
    return {
        number: f"{number} {name}, {_span(min(on), max(on))}"
        for number, on in sorted(frames.items())
    }


def _span(first: int, last: int) -> str:
    return f"frame {first}" if first == last else f"frames {first} to {last}"


def evenly(found: Sequence[FrameResult], count: int) -> list[FrameResult]:
    """Choose at most `count` items, the first and the last among them, evenly between."""
    if len(found) <= count:
        return list(found)
    return [found[round(step * (len(found) - 1) / (count - 1))] for step in range(count)]


def _labelled(found: FrameResult, spacing: Spacing | None) -> tuple[LabelledMask, ...]:
    return tuple(
        LabelledMask(
            str(shown.object_id),
            rle.decode(shown.rle),
            detail=_area(shown.area_px, spacing),
            colour=shown.object_id - 1,
        )
        for shown in found.objects
    )


def _area(area_px: int, spacing: Spacing | None) -> str:
    if spacing is None:
        return f"{area_px} px"
    return f"{area_px * spacing.row_mm * spacing.column_mm:.4g} mm2"
