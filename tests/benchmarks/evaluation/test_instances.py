import numpy as np
import pytest
from PIL import Image

from benchmarks.evaluation.instances import aggregated_jaccard, label_masks, panoptic_quality
from tests.paths import SAMPLES, SHARED

SAMPLE = SAMPLES / "dsb2018_nuclei_mask.png"
LABELS = SHARED / "data" / "monuseg" / "labels"


def line(*spans, dtype=np.uint16):
    """Number the spans (first, end, number) of a line of 12 pixels."""
    labels = np.zeros((1, 12), dtype=dtype)
    for first, end, number in spans:
        labels[0, first:end] = number
    return labels


TWO = line((0, 4, 1), (6, 10, 2))


@pytest.mark.parametrize(
    ("found", "true", "aji", "pq"),
    [
        pytest.param(TWO, TWO, 1.0, 1.0, id="the same"),
        pytest.param(
            line((0, 4, 65535), (6, 10, 7)), TWO, 1.0, 1.0, id="the same under other numbers"
        ),
        # Pairs of 3/4 and 3/5, and a pixel on its own.
        pytest.param(
            line((0, 3, 1), (5, 9, 2), (11, 12, 3)),
            TWO,
            6 / (4 + 5 + 1),
            2 * (3 / 4 + 3 / 5) / 5,
            id="shrunk, moved and one too many",
        ),
        pytest.param(line((0, 10, 1)), TWO, 8 / 20, 0.0, id="one for both counts its union twice"),
        pytest.param(line((0, 2, 1)), line((0, 4, 1)), 2 / 4, 0.0, id="IoU of one half: no match"),
        pytest.param(line((0, 4, 1)), TWO, 4 / 8, 2 * 1 / 3, id="one missed"),
        pytest.param(line((4, 6, 1)), TWO, 0.0, 0.0, id="none hit"),
        pytest.param(
            line((4, 6, 1), (6, 10, 2)),
            TWO,
            4 / (4 + 4 + 2),
            2 * 1 / 4,
            id="one missed, one made up",
        ),
        # IoU 2/5 and 3/12: the first is taken although the second shares more.
        pytest.param(
            line((0, 2, 1), (2, 12, 2)),
            line((0, 5, 1)),
            2 / (5 + 10),
            0.0,
            id="the best IoU is taken, the other adds its area",
        ),
        pytest.param(line(), TWO, 0.0, 0.0, id="nothing found"),
        pytest.param(TWO, line(), 0.0, 0.0, id="nothing there"),
        pytest.param(line(), line(), None, None, id="nothing at all"),
    ],
)
def test_objects_are_paired_as_the_papers_say(found, true, aji, pq):
    assert aggregated_jaccard(found, true) == (None if aji is None else pytest.approx(aji))
    assert panoptic_quality(found, true) == (None if pq is None else pytest.approx(pq))


def test_labels_without_background_are_all_objects():
    full = np.ones((2, 2), dtype=np.uint16)
    assert aggregated_jaccard(full, full) == 1.0
    assert panoptic_quality(full, full) == 1.0


def test_a_mask_of_many_is_cut_where_not_even_corners_touch():
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 1]], dtype=np.bool_)
    labels = label_masks([mask], (2, 4))
    assert labels.tolist() == [[1, 0, 0, 2], [0, 1, 0, 2]]


def test_masks_of_one_object_each_stay_apart_where_they_touch():
    left, right = np.array([[[1, 1, 0]], [[0, 0, 1]]], dtype=np.bool_)
    assert label_masks([left, right], (1, 3)).tolist() == [[1, 1, 2]]


def test_the_best_mask_keeps_a_pixel_and_does_not_split_the_other():
    best, other = np.array([[[0, 1, 0]], [[1, 1, 1]]], dtype=np.bool_)
    assert label_masks([best, other], (1, 3)).tolist() == [[2, 1, 2]]


def test_no_mask_gives_no_object():
    assert label_masks([], (2, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]


def without_largest(labels):
    areas = np.bincount(labels.ravel())[1:]
    largest = int(areas.argmax()) + 1
    share_left = 1 - areas[largest - 1] / areas.sum()
    return np.where(labels == largest, 0, labels), np.count_nonzero(areas), share_left


def check_a_missed_nucleus(labels):
    found, count, share_left = without_largest(labels)
    assert count > 10
    assert aggregated_jaccard(labels, labels) == 1.0
    assert aggregated_jaccard(found, labels) == pytest.approx(share_left)
    assert panoptic_quality(found, labels) == pytest.approx(2 * (count - 1) / (2 * count - 1))


def test_a_missed_nucleus_of_the_sample_costs_its_area_and_half_a_match():
    with Image.open(SAMPLE) as picture:
        mask = np.asarray(picture.convert("L")) > 0
    check_a_missed_nucleus(label_masks([mask], mask.shape))


def test_a_missed_nucleus_of_a_pathologist_costs_its_area_and_half_a_match():
    paths = sorted(LABELS.glob("*.png"))
    if not paths:
        pytest.skip(f"no label images in ../shared/data/{LABELS.parent.name}/labels")
    with Image.open(paths[0]) as picture:
        check_a_missed_nucleus(np.asarray(picture).astype(np.uint16))
