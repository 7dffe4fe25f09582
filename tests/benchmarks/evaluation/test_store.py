"""An evaluation's folder: what is kept, what is dropped, what is refused."""

import json

import numpy as np
import pytest

from api.cli.output import UsageFault
from benchmarks.evaluation.provenance import Configuration
from benchmarks.evaluation.records import Score
from benchmarks.evaluation.store import key_of, open_store
from segmenter.masks import rle
from tests.benchmarks.evaluation.folders import drawn

MASK = drawn([(3, 4, 9, 8)])


def configuration(**changes) -> Configuration:
    fields = {
        "backend": "compact",
        "weights_id": "w",
        "weights_sha256": "00",
        "model_threshold": 0.5,
        "threshold": None,
        "modes": ("T",),
        "split": "test",
        "data_sha256": {"busi": "11"},
        "limit": None,
        "foreign": 0,
        "phrases": (),
        "phrase_of": {},
        "request": "Segment the {phrase}.",
        "planner": None,
        "planner_model": None,
        "prompts_version": "22",
        "box_jitter": 0.25,
    }
    return Configuration(**{**fields, **changes})


def score(name: str, **changes) -> Score:
    fields = {
        "dataset": "busi",
        "image_id": name,
        "concept": "breast tumor",
        "phrase": "breast tumor",
        "group": name,
        "mode": "T",
        "has_target": True,
        "found": True,
        "status": "found",
        "dice": 0.75,
    }
    return Score(**{**fields, **changes})


def opened(folder, restart=False, **changes):
    return open_store(folder, configuration(**changes), started="then", restart=restart)


def test_scores_and_masks_are_there_after_a_stop(tmp_path):
    first = opened(tmp_path / "out")
    first.add(score("b"), rle.encode(MASK), fallbacks=2)
    first.add(score("a", found=False, status="not_found", dice=0.0), None)
    again = opened(tmp_path / "out")
    assert [one.image_id for one in again.scores()] == ["a", "b"]
    assert key_of(score("b")) in again
    assert key_of(score("b", mode="T+I")) not in again
    np.testing.assert_array_equal(again.mask(score("b")), MASK)
    assert again.mask(score("a")) is None
    assert again.fallbacks() == 2


def test_each_score_is_on_disk_at_once(tmp_path):
    store = opened(tmp_path)
    for number, name in enumerate("abc", start=1):
        store.add(score(name), None)
        lines = (tmp_path / "scores.jsonl").read_text().splitlines()
        assert len(lines) == number
        assert json.loads(lines[-1])["image_id"] == name


@pytest.mark.parametrize("torn", ["scores.jsonl", "masks.jsonl"])
def test_a_torn_last_line_is_dropped_and_what_follows_is_whole(tmp_path, torn):
    store = opened(tmp_path)
    store.add(score("a"), rle.encode(MASK))
    with (tmp_path / torn).open("a") as lines:
        lines.write('{"dataset":"bu')
    again = opened(tmp_path)
    assert [one.image_id for one in again.scores()] == ["a"]
    again.add(score("b"), rle.encode(MASK))
    last = opened(tmp_path)
    assert [one.image_id for one in last.scores()] == ["a", "b"]
    np.testing.assert_array_equal(last.mask(score("b")), MASK)


def test_a_failed_answer_is_asked_again(tmp_path):
    failed = score("a", found=False, status="failed", dice=None, error="DeadlineExceeded: late")
    store = opened(tmp_path)
    store.add(failed, None)
    assert key_of(failed) in store
    assert key_of(failed) not in opened(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 0.4},
        {"weights_sha256": "ff"},
        {"data_sha256": {"busi": "12"}},
        {"modes": ("T", "box")},
        {"limit": 3},
    ],
    ids=["threshold", "weights", "data", "modes", "limit"],
)
def test_another_configuration_is_refused_unless_it_restarts(tmp_path, change):
    opened(tmp_path).add(score("a"), None)
    with pytest.raises(UsageFault, match=r"other settings, weights or data.*--restart"):
        opened(tmp_path, **change)
    assert len(opened(tmp_path).scores()) == 1
    assert opened(tmp_path, restart=True, **change).scores() == []
    assert opened(tmp_path, **change).note.started == "then"


def test_a_folder_of_another_kind_is_refused(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UsageFault, match="cannot be read"):
        opened(tmp_path)


def test_the_start_is_that_of_the_first_run(tmp_path):
    opened(tmp_path)
    later = open_store(tmp_path, configuration(), started="now", restart=False)
    assert later.note.started == "then"
