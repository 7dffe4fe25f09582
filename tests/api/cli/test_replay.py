"""``medsam3 replay``: a run's recording, over HTTP and back through the command."""

import json
from functools import partial
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.bootstrap.parts import open_parts
from api.bootstrap.setup import Setup
from api.cli.main import main
from api.http.app import create_app
from api.settings import Settings
from segmenter.backends.compact.backend import CompactBackend
from tests.api.conftest import BASE_URL
from tests.paths import SAMPLES

IMAGE = SAMPLES / "busi_tumor.jpg"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    setup = Setup(Settings(), lambda settings: CompactBackend())
    app = create_app(Settings(), partial(open_parts, setup))
    with TestClient(app, base_url=BASE_URL) as client:
        asked = client.post(
            "/agent/segment",
            files={"image": IMAGE.read_bytes()},
            data={"request": "Outline the breast tumour"},
        )
        assert asked.status_code == 200, asked.text
        answer = client.get(f"/agent/runs/{asked.json()['id']}/recording")
        missing = client.get(f"/agent/runs/run_{'0' * 32}/recording")
    assert missing.status_code == 404
    assert answer.status_code == 200
    path = tmp_path_factory.mktemp("recording") / "run.json"
    path.write_bytes(answer.content)
    return path


def test_a_recorded_run_comes_out_the_same(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(recording), "--image", str(IMAGE)], {}) == 0
    said = capsys.readouterr().out
    assert "the same as recorded" in said
    assert "found" in said


def test_a_recording_without_its_answers_is_refused(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    holed = json.loads(recording.read_text(encoding="utf-8"))
    holed["lines"] = [line for line in holed["lines"] if line["result"] is None]
    path = recording.with_name("holed.json")
    path.write_text(json.dumps(holed), encoding="utf-8")
    assert main(["replay", str(path), "--image", str(IMAGE)], {}) == 1
    assert "does not hold" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["replay", "RECORDING"], "--image"),
        (["replay", "IMAGE", "--image", "IMAGE"], "no recording"),
        (["replay", f"run_{'0' * 32}"], "MEDSAM3_REDIS_URL"),
        (["replay", "nothing.json"], "there is no such file"),
        (["replay", "nothing.json", "--image", "IMAGE"], "there is no such file"),
        (["replay", "api"], "it is no file"),
        (["replay", "run_1"], "no id of a run"),
    ],
)
def test_what_cannot_be_replayed_is_said_in_one_line(
    recording: Path, argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"RECORDING": str(recording), "IMAGE": str(IMAGE)}
    assert main([names.get(each, each) for each in argv], {}) == 2
    assert words in capsys.readouterr().err
