import numpy as np
import pytest

from segmenter.backends.contract import PredictedMask, Prediction
from segmenter.training.ask import MOVED, Kind, foreign_rows, outcomes, prompt_for
from segmenter.training.dataset import read_rows, read_target
from tests.doubles import ThresholdBackend


class BoxFiller(ThresholdBackend):
    """Answers a box with the box itself, and text with nothing."""

    def _answer(self, grey, prompt):
        if not prompt.boxes:
            return Prediction((), prompt.text, 0.25)
        box = prompt.boxes[0].box
        mask = np.zeros(grey.shape, dtype=bool)
        mask[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] = True
        return Prediction((PredictedMask(mask, 0.5, 1.0),), prompt.text, 0.5)


def test_a_refused_image_counts_zero_and_an_empty_one_has_no_box(drawings):
    rows = read_rows(drawings, "test", ["busi"])
    found = list(outcomes(BoxFiller(), rows))
    assert [each.dice for each in found if each.kind == "T" and each.has_target] == [0, 0, 0, 0]
    empty = [row for row in rows if not read_target(row).any()]
    assert {each.row for each in found if each.kind == "T+I"} == set(rows) - set(empty)


def test_the_box_of_the_truth_gives_the_dice_of_a_disc_in_its_square(drawings):
    rows = read_rows(drawings, "test", ["kvasir_seg"])
    boxed = [each for each in outcomes(BoxFiller(), rows) if each.kind == "T+I"]
    # A disc fills pi / 4 of its square: Dice 2 a / (1 + a) = 0.88.
    assert np.mean([each.dice for each in boxed]) == pytest.approx(0.88, abs=0.03)
    assert {each.joint for each in boxed} == {0.25}


def test_an_image_is_embedded_once_for_all_its_rows(drawings):
    row = read_rows(drawings, "test", ["kvasir_seg"])[0]
    backend = BoxFiller()
    list(outcomes(backend, [row, row._replace(concept="nuclei"), row._replace(concept="lungs")]))
    assert backend.embeds == 1


def test_a_moved_box_moves_the_same_way_again(drawings):
    row = read_rows(drawings, "test", ["kvasir_seg"])[0]
    target = read_target(row)
    kinds: tuple[Kind, ...] = ("T+I", "T+I moved", "T+I moved")
    tight, moved, again = (prompt_for(row, target, kind).boxes[0].box for kind in kinds)
    assert moved == again
    width = tight.x1 - tight.x0
    assert 0 < abs(moved.x0 - tight.x0) <= MOVED * width


def test_questions_about_other_modalities_have_an_empty_truth(drawings):
    rows = read_rows(drawings, "test", ["busi"])
    asked = list(foreign_rows(rows, 2))
    assert len(asked) == 2 * len(rows)
    assert asked == list(foreign_rows(rows, 2))
    assert not any(each.has_target for each in outcomes(BoxFiller(), asked))
    assert "breast tumor" not in {row.concept for row in asked}
