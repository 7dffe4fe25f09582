"""Questions put to the whole service in this process; the double stands for the model alone."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.bootstrap.parts import open_parts
from api.bootstrap.setup import Setup
from api.settings import Settings
from benchmarks.evaluation.asking import Manner, box_of, direct_body
from benchmarks.evaluation.cases import first_images, read_cases, with_phrases
from benchmarks.evaluation.records import MODES, Score
from benchmarks.evaluation.runner import Asked, Work, modes_for, run, tell
from benchmarks.evaluation.store import Store, open_store
from segmenter.backends.contract import Backend
from tests.benchmarks.evaluation.folders import SetFolder, drawn
from tests.benchmarks.evaluation.test_store import configuration
from tests.doubles import BRIGHT, NOTHING, ThresholdBackend

SEEN, TRUE = (10, 5, 20, 15), (10, 5, 20, 10)
MANNER = Manner("Segment the {phrase}.", "rules", None, 0.25, 30.0)


def data_folder(root: Path) -> Path:
    one = SetFolder(root, "own_set")
    one.add("absent", [], []).add("false_alarm", [SEEN], []).add("half", [SEEN], [TRUE])
    return one.write()


def answered(
    root: Path, out: Path, modes, backend: Backend[Any] | None = None, phrases=()
) -> Store:
    cases = with_phrases(first_images(read_cases(root, ["own_set"], "test"), None), phrases, {})
    model = backend or ThresholdBackend()
    store = open_store(out, configuration(modes=modes), started="then", restart=False)
    work = Work([Asked(case, False) for case in cases], modes, MANNER)

    async def ask_all() -> None:
        async with open_parts(Setup(Settings(), lambda settings: model)) as parts:
            await run(parts, work, store)

    asyncio.run(ask_all())
    return store


def by_name(store: Store) -> dict[tuple[str, str], Score]:
    return {(one.image_id, one.mode): one for one in store.scores()}


@pytest.fixture(scope="module")
def direct(tmp_path_factory):
    root = tmp_path_factory.mktemp("direct")
    modes = ("T", "T+I", "T+I moved", "box")
    return answered(data_folder(root / "data"), root / "out", modes)


def test_text_finds_all_that_is_bright_and_a_box_cuts_it(direct):
    found = by_name(direct)
    # 100 pixels found, 50 true, all of them found: 2 * 50 / 150 and 50 / 100.
    text = found["half", "T"]
    assert (text.dice, text.iou) == (pytest.approx(2 / 3), pytest.approx(0.5))
    for mode in ("T+I", "box"):
        assert found["half", mode].dice == 1.0
        assert found["half", mode].hd95 == 0.0
    assert (text.presence, text.score, text.expected_dice) == (1.0, 0.9, 0.9)
    assert text.status == "found"
    assert text.seconds > 0


def test_an_image_without_target_is_asked_in_words_only(direct):
    found = by_name(direct)
    assert [mode for name, mode in found if name == "absent"] == ["T"]
    absent, alarm = found["absent", "T"], found["false_alarm", "T"]
    assert (absent.status, absent.found, absent.has_target) == ("not_found", False, False)
    assert (absent.dice, absent.score, absent.expected_dice) == (None, 0.0, None)
    assert absent.presence == 0.1
    assert (alarm.status, alarm.found, alarm.dice) == ("found", True, None)


def test_the_masks_are_kept(direct):
    scores = by_name(direct)
    np.testing.assert_array_equal(direct.mask(scores["half", "T"]), drawn([SEEN]))
    np.testing.assert_array_equal(direct.mask(scores["half", "T+I"]), drawn([TRUE]))
    assert direct.mask(scores["absent", "T"]) is None


def test_a_phrase_the_model_does_not_know_is_unknown_and_counts_nothing_found(tmp_path):
    store = answered(data_folder(tmp_path), tmp_path / "out", ("T",), phrases=["glow", BRIGHT])
    scores = {(one.image_id, one.phrase): one for one in store.scores()}
    assert len(scores) == 6
    assert scores["half", "glow"].status == "unknown"
    assert (scores["half", "glow"].dice, scores["half", "glow"].hd95) == (0.0, None)
    assert scores["half", BRIGHT].dice == pytest.approx(2 / 3)


def test_the_agent_looks_for_what_the_model_knows_and_says_what_it_does_not(tmp_path):
    root, out = data_folder(tmp_path), tmp_path / "out"
    store = answered(root, out, ("agent",), phrases=[NOTHING, "glimmer"])
    scores = {(one.image_id, one.phrase): one for one in store.scores()}
    known, strange = scores["half", NOTHING], scores["half", "glimmer"]
    assert known.rounds >= 1
    assert known.status in ("not_found", "uncertain")
    assert known.presence == 0.1
    assert (known.found, known.dice) == (False, 0.0)
    assert strange.status == "unknown"


def test_an_image_that_does_not_decode_fails_alone(tmp_path):
    root = data_folder(tmp_path)
    (root / "own_set" / "images" / "absent.png").write_bytes(b"no picture at all")
    (root / "own_set" / "masks" / "false_alarm__bright_region.png").unlink()
    found = by_name(answered(root, tmp_path / "out", ("T",)))
    assert found["absent", "T"].status == "failed"
    assert found["absent", "T"].error.startswith("UnsupportedImage: ")
    assert found["false_alarm", "T"].error == "FileNotFoundError: No such file or directory"
    assert found["half", "T"].dice == pytest.approx(2 / 3)


def test_a_model_that_fails_gives_failed_scores_without_figures(tmp_path):
    root, out = data_folder(tmp_path), tmp_path / "out"
    broken = ThresholdBackend(fail_with=ZeroDivisionError("patient Doe"))
    found = by_name(answered(root, out, ("T", "agent"), broken, phrases=[NOTHING]))
    assert {one.status for one in found.values()} == {"failed"}
    assert found["half", "T"].error == "JobFailed: the model failed with ZeroDivisionError"
    assert found["half", "T"].has_target is True
    assert found["half", "agent"].error.startswith("JobFailed: ")
    assert {one.dice for one in found.values()} == {None}
    mended = by_name(answered(root, out, ("T", "agent"), phrases=[NOTHING]))
    assert "failed" not in {one.status for one in mended.values()}


def test_what_is_scored_is_not_asked_again(tmp_path):
    root, out = data_folder(tmp_path), tmp_path / "out"
    first = answered(root, out, ("T", "T+I"))
    idle = ThresholdBackend()
    again = answered(root, out, ("T", "T+I"), idle)
    assert idle.batches == []
    assert again.scores() == first.scores()


def test_the_same_questions_get_the_same_scores_but_for_the_seconds(tmp_path):
    root, modes = data_folder(tmp_path), ("T", "T+I", "T+I moved", "box", "agent")
    runs = [answered(root, tmp_path / name, modes).scores() for name in ("one", "two")]
    first, second = ([one.model_copy(update={"seconds": 0.0}) for one in part] for part in runs)
    assert len(first) == 9
    assert first == second


def test_a_box_is_tight_or_off_by_its_share_and_always_the_same(tmp_path):
    case = read_cases(data_folder(tmp_path), ["own_set"], "test")[2]
    target = drawn([TRUE, (30, 20, 33, 22)])
    tight = np.array(box_of(case, target, jitter=0.0))
    np.testing.assert_array_equal(tight, TRUE)
    size = np.array([10, 5, 10, 5])
    moved = np.array(box_of(case, target, jitter=0.25))
    assert (moved != tight).all()
    assert (abs(moved - tight) <= 0.25 * size).all()
    np.testing.assert_array_equal(moved, box_of(case, target, jitter=0.25))
    half = np.array(box_of(case, target, jitter=0.125))
    np.testing.assert_allclose(half - tight, (moved - tight) / 2)


@pytest.mark.parametrize(
    ("mode", "text", "boxes"),
    [("T", "bright region", 0), ("T+I", "bright region", 1), ("box", None, 1)],
)
def test_a_mode_decides_what_is_in_the_prompt(tmp_path, mode, text, boxes):
    case = read_cases(data_folder(tmp_path), ["own_set"], "test")[2]
    (prompt,) = direct_body(case, drawn([TRUE]), mode, MANNER).prompts
    assert prompt.text == text
    assert len(prompt.boxes) == boxes


def test_modes_with_a_box_need_a_target():
    assert modes_for(("agent", "T+I", "T"), has_target=True) == ["T", "T+I", "agent"]
    assert modes_for(MODES, has_target=False) == ["T", "agent"]


def test_an_error_is_told_without_its_folder(tmp_path):
    with pytest.raises(OSError, match="No such file") as caught:
        (tmp_path / "patient").read_bytes()
    assert tell(caught.value) == "FileNotFoundError: No such file or directory"
