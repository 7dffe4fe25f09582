from pathlib import Path

import numpy as np

from benchmarks.evaluation.comparison import ANSWER, CAPTION_PX, TILE_PX, TRUTH, draw_tile
from benchmarks.evaluation.pictures import caption, choose, sheet_name, write_pictures
from benchmarks.evaluation.records import Case, Score
from benchmarks.evaluation.truth import read_mask
from segmenter.formats.decode import decode
from tests.paths import SAMPLES


def answer(image_id: str, dice: float | None, *, score: float = 0.5, found: bool = True) -> Score:
    return Score(
        dataset="busi",
        image_id=image_id,
        concept="breast tumor",
        phrase="breast tumor",
        group=image_id,
        mode="T",
        has_target=dice is not None,
        found=found,
        status="found" if found else "not_found",
        dice=dice,
        score=score,
        presence=0.25,
    )


def ids(scores: list[Score]) -> list[list[str]]:
    (rows,) = choose(scores).values()
    return [[score.image_id for score in row.scores] for row in rows]


def test_ranks_are_worst_median_and_best_with_ties_by_image_id() -> None:
    dices = {"a": 0.5, "b": 0.1, "c": 0.1, "d": 0.9, "e": 0.2, "f": 0.8, "g": 0.4, "h": 0.6}
    dices |= {"i": 0.95, "j": 0.3, "k": 0.7}
    scores = [answer(name, dice) for name, dice in dices.items()]
    expected = [["b", "c", "e"], ["g", "a", "h"], ["i", "d", "f"]]
    assert ids(scores) == expected
    assert ids(scores[::-1]) == expected


def test_few_answers_are_shown_once() -> None:
    assert ids([answer(name, 0.5) for name in "dcba"]) == [["a", "b", "c"], [], ["d"]]


def test_the_six_surest_false_alarms_are_shown_and_right_refusals_are_not() -> None:
    alarms = [answer(f"n{place}", None, score=place / 10) for place in range(8)]
    refused = answer("quiet", None, score=0.0, found=False)
    assert ids([*alarms, refused]) == [["n7", "n6", "n5", "n4", "n3", "n2"]]


def test_a_sheet_is_named_after_what_it_shows() -> None:
    tumor = answer("a", 0.5)
    plain, moved = (
        next(iter(choose([tumor.model_copy(update=change)])))
        for change in ({}, {"mode": "T+I moved"})
    )
    assert sheet_name(plain) == "busi__breast-tumor__T.png"
    assert sheet_name(moved) == "busi__breast-tumor__T-I-moved.png"
    other = next(iter(choose([tumor.model_copy(update={"phrase": "../mass"})])))
    assert "/" not in sheet_name(other)
    assert sheet_name(other) != sheet_name(plain)


def test_a_caption_says_dice_presence_and_a_missing_mask() -> None:
    assert caption(answer("a", 0.0, found=False)) == ("a", "Dice 0.000, presence 0.25, no mask")
    assert caption(answer("b", None, score=0.75)) == ("b", "score 0.75, presence 0.25")


def test_a_tile_has_both_outlines_where_they_belong() -> None:
    truth, found = np.zeros((2, 64, 64), dtype=np.bool_)
    truth[8:24, 8:24] = True
    found[40:56, 40:56] = True
    grey = np.full((64, 64, 3), 90, dtype=np.uint8)
    tile = draw_tile(grey, truth, found, ("a" * 200, ""))
    assert tile.shape == (TILE_PX + CAPTION_PX, TILE_PX, 3)
    scale = TILE_PX / 64
    for colour, place in ((TRUTH, 8), (ANSWER, 40)):
        ys, xs = np.nonzero((tile[:TILE_PX] == colour).all(axis=2))
        assert abs(ys.min() - place * scale) < 4
        assert abs(xs.max() - (place + 16) * scale) < 4


def test_sheets_of_the_shipped_samples_are_drawn_alike_twice(tmp_path: Path) -> None:
    cases, scores = {}, []
    for name, dice in (("busi_tumor", 1.0), ("busi_normal", None)):
        case = Case(
            dataset="busi",
            image_id=name,
            concept="breast tumor",
            phrase="breast tumor",
            group=name,
            image=SAMPLES / f"{name}.jpg",
            mask=SAMPLES / f"{name}_mask.png",
        )
        cases["busi", name, "breast tumor"] = case
        scores.append(answer(name, dice))
    tumor = read_mask((SAMPLES / "busi_tumor_mask.png").read_bytes())

    def masks(score: Score) -> np.ndarray | None:
        return tumor if score.image_id == "busi_tumor" else None

    first = write_pictures(tmp_path / "a", scores, cases, masks)
    again = write_pictures(tmp_path / "b", scores[::-1], cases, masks)
    names = ["busi__breast-tumor__T.png", "busi__breast-tumor__T__false-alarms.png"]
    assert [path.name for path in first] == names
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    sheet = decode(first[0].read_bytes()).pixels[140:]
    assert (sheet == ANSWER).all(axis=2).sum() > 200
