"""``medsam3 doctor`` asks each MLLM that is set up one tiny question, on a real socket."""

import asyncio
import json
from typing import Any

import pytest

from api.bootstrap.mllm_probe import TEXT, Probed, probe
from api.bootstrap.planners import build, close_all
from api.cli.main import main
from api.settings import Settings, load_settings
from segmenter.backends.contract import Backend
from tests.agent.loopback import Script, Step, loopback, says
from tests.doubles import ThresholdBackend

KEY = "sk-nobody-may-read-this"


def load(settings: Settings) -> Backend[Any]:
    return ThresholdBackend()


def environ(url: str, *, planner: str = "openai") -> dict[str, str]:
    return {
        "MEDSAM3_PLANNER": planner,
        "MEDSAM3_OPENAI_BASE_URL": f"{url}/v1",
        "MEDSAM3_OPENAI_MODEL": "scripted",
        "MEDSAM3_OPENAI_API_KEY": KEY,
    }


def checks(script: Script, capsys: pytest.CaptureFixture[str], **more: str) -> tuple[int, Any]:
    with loopback(*script) as server:
        code = main(["doctor", "--json"], environ(server.url, **more), load)
        out, err = capsys.readouterr()
        assert KEY not in out + err
        assert all(not received.pictures for received in server.received)
        assert TEXT in server.received[0].words
    return code, {check["name"]: check for check in json.loads(out)["checks"]}


def test_an_mllm_that_answers_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = checks([says({"ready": True})], capsys)
    assert code == 0
    assert found["planner"]["state"] == "ok"
    assert "answers a question of one line" in found["planner"]["found"]
    assert "100 tokens read, 25 written" in found["planner"]["found"]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ([Step(status=401, body=b'{"error": {"message": "who are you"}}')], "401"),
        ([says("secret words of a model")], "does not answer"),
        ([says({"ready": "perhaps"})], "does not answer"),
        ([Step(drop=True)], "no connection"),
    ],
    ids=["refused key", "no JSON", "another answer", "hung up"],
)
def test_an_mllm_that_does_not_answer_is_a_fault_with_advice(
    script: Script, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = checks(script, capsys)
    assert code == 1
    assert found["planner"]["state"] == "fail"
    assert why in found["planner"]["found"]
    assert "rules plan" in found["planner"]["advice"]
    assert "secret words" not in str(found)
    assert "who are you" not in str(found)


def test_one_that_is_not_the_default_is_noted(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = checks([Step(status=401)], capsys, planner="rules")
    assert code == 0
    assert found["planner"]["found"] == "rules"
    assert found["on request"]["state"] == "note"


def test_nobody_waits_longer_than_the_deadline() -> None:
    async def ask(url: str) -> Probed:
        mllm = build(load_settings(environ(url)), "openai")
        try:
            return await probe(mllm, timeout_s=0.3)
        finally:
            await close_all([mllm])

    with loopback(Step(wait_s=20.0)) as server:
        found = asyncio.run(ask(server.url))
    assert not found.answers
    assert "in 0.3 s" in found.words
