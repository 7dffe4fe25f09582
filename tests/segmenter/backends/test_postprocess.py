"""Which masks of a prompt are answered."""

import numpy as np
import pytest

from segmenter.backends.contract import PredictedMask, Prediction
from segmenter.backends.postprocess import select
from segmenter.contract import Box
from segmenter.masks import rle


def block(x0: int, x1: int, score: float) -> PredictedMask:
    """A mask of 10 rows from column `x0` up to `x1` in 10 x 40 pixels."""
    mask = np.zeros((10, 40), dtype=bool)
    mask[:, x0:x1] = True
    return PredictedMask(mask, score, 0.8)


def choose(*masks: PredictedMask, presence=1.0, reason=None, threshold=0.5, iou=0.5, most=20):
    prediction = Prediction(masks, "lung", presence, reason=reason)
    return select(prediction, threshold=threshold, nms_iou=iou, max_masks=most)


def columns(result) -> list[tuple[float, float]]:
    return [(mask.box.x0, mask.box.x1) for mask in result.masks]


def test_a_mask_is_described_from_its_pixels():
    [mask] = choose(block(5, 15, 0.9), presence=0.8).masks
    assert mask.box == Box(x0=5, y0=0, x1=15, y1=10)
    assert (mask.area_px, mask.score, mask.presence, mask.stability) == (100, 0.9, 0.8, 0.8)
    assert mask.joint == pytest.approx(0.72)
    assert (rle.decode(mask.rle) == block(5, 15, 0.9).mask).all()


@pytest.mark.parametrize(
    ("masks", "options", "expected"),
    [
        pytest.param(
            [block(0, 10, 0.6), block(20, 30, 0.9)], {}, [(20, 30), (0, 10)], id="best first"
        ),
        pytest.param([block(0, 10, 0.5)], {}, [(0, 10)], id="at the threshold"),
        pytest.param([block(0, 10, 0.49)], {}, [], id="below the threshold"),
        pytest.param([block(0, 10, 0.9)], {"presence": 0.5}, [], id="presence lowers the score"),
        pytest.param([block(0, 10, 0.7), block(0, 9, 0.9)], {}, [(0, 9)], id="near-duplicate"),
        pytest.param(
            [block(0, 10, 0.9), block(0, 5, 0.7)], {}, [(0, 10), (0, 5)], id="IoU at the bound"
        ),
        pytest.param([block(0, 10, 0.9)] * 3, {"iou": 1.0}, [(0, 10)] * 3, id="bound 1 keeps all"),
        pytest.param([block(0, 10, 0.9), block(9, 19, 0.8)], {"iou": 0.0}, [(0, 10)], id="bound 0"),
        pytest.param([block(0, 10, 0.9), block(20, 30, 0.8)], {"most": 1}, [(0, 10)], id="capped"),
        pytest.param(
            [block(0, 10, 0.9), block(4, 14, 0.8), block(8, 18, 0.7)],
            {"iou": 0.3},
            [(0, 10), (8, 18)],
            id="a dropped mask drops none",
        ),
        pytest.param([block(3, 3, 0.9)], {}, [], id="no empty mask"),
    ],
)
def test_masks_are_ranked_thresholded_suppressed_and_capped(masks, options, expected):
    assert columns(choose(*masks, **options)) == expected


def test_masks_below_the_threshold_are_the_reason_of_an_empty_answer():
    result = choose(block(0, 10, 0.41))
    assert result.reason == "the best mask scores 0.41, below the threshold 0.50"


def test_the_models_own_reason_is_kept():
    assert choose(reason="not a chest video").reason == "not a chest video"


def test_an_answer_with_masks_needs_no_reason():
    assert choose(block(0, 10, 0.9)).reason is None


def test_medsam3s_rule_leaves_presence_out_and_compares_boxes():
    """Two crossed bars share few pixels and the same box."""
    rising, falling = np.eye(10, 40, dtype=bool), np.eye(10, 40, dtype=bool)[::-1].copy()
    low = PredictedMask(np.pad(np.ones((1, 1), bool), ((0, 9), (30, 9))), 0.4, 1.0)
    masks = (PredictedMask(rising, 0.9, 1.0), PredictedMask(falling, 0.8, 1.0), low)
    prediction = Prediction(masks, "lung", 0.1)
    chosen = {
        way: select(prediction, threshold=0.5, nms_iou=0.5, max_masks=20, postprocess=way).masks
        for way in ("sam3", "medsam3")
    }
    assert chosen["sam3"] == ()
    assert [mask.score for mask in chosen["medsam3"]] == [0.9]
    assert chosen["medsam3"][0].joint == pytest.approx(0.09)
