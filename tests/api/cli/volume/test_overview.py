import io
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from agent.drawing.colours import COLOURS
from api.cli.volume.overview import MAX_TILES, draw_overview, evenly, objects_in, title_of
from segmenter.contract import Box
from segmenter.formats.frames import FrameGeometry, Frames, SourceGrid
from segmenter.masks import rle
from segmenter.volumes.contract import FrameObject, FrameResult


def result(index: int, *ids: int) -> FrameResult:
    mask = np.zeros((40, 50), dtype=np.bool_)
    mask[10:20, 10:20] = True
    shape = {"rle": rle.encode(mask), "box": Box(x0=10, y0=10, x1=20, y1=20), "area_px": 100}
    scores = {"score": 0.9, "presence": 0.9, "joint": 0.81}
    objects = tuple(FrameObject.model_validate({"object_id": n, **shape, **scores}) for n in ids)
    return FrameResult(index=index, presence=0.9, reason=None, objects=objects)


ONE = [result(index, *([1] if index >= 3 else [])) for index in range(20)]


@pytest.mark.parametrize(
    ("found", "title"),
    [
        pytest.param(
            [result(0, 1)], "polyp: 1 object on 1 of 1 frame", id="one frame, nothing left out"
        ),
        pytest.param(
            ONE,
            "polyp: 1 object on 17 of 20 frames; 8 frames with an object left out here",
            id="more than fit",
        ),
        pytest.param(
            [result(index) for index in range(10)],
            "polyp: none found on 10 frames; 1 frame left out here",
            id="nothing found",
        ),
        pytest.param(
            [result(0, *range(1, 13)), result(1)],
            "polyp: 12 objects on 1 of 2 frames; 2 objects not listed below",
            id="more objects than colours",
        ),
    ],
)
def test_the_title_says_what_was_found_and_what_is_left_out(
    found: Sequence[FrameResult], title: str
) -> None:
    shown = evenly([each for each in found if each.objects] or found, MAX_TILES)
    assert title_of(found, shown, "polyp") == title


def test_every_object_is_named_with_its_frames() -> None:
    found = [result(2, 1), result(3, 1, 2), result(4, 1)]
    assert objects_in(found, "polyp") == {1: "1 polyp, frames 2 to 4", 2: "2 polyp, frame 3"}


def has(drawn: np.ndarray, index: int) -> bool:
    return bool((np.abs(drawn.astype(int) - COLOURS[index][1]) < 3).all(axis=2).sum() > 100)


def test_an_object_has_its_colour_on_every_frame() -> None:
    pixels = np.full((40, 50, 3), 90, dtype=np.uint8)
    frames = Frames(
        count=20,
        height=40,
        width=50,
        format="gif",
        modality=None,
        rendering="identity",
        geometry=FrameGeometry(axis="time"),
        source=SourceGrid(),
        frame=lambda index: pixels,
    )
    drawn = np.asarray(Image.open(io.BytesIO(draw_overview(frames, [result(4, 3)], "polyp"))))
    assert [has(drawn, index) for index in range(4)] == [False, False, True, False]
