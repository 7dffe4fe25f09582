"""The command line through `main`, in this process, with the double for the model."""

import csv
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from api.bootstrap.backends import WeightsFault
from api.cli.main import main
from api.settings import Settings
from segmenter.backends.contract import Backend
from segmenter.formats.raster.image import decode_mask_png
from tests.doubles import BRIGHT, NOTHING, ThresholdBackend
from tests.paths import ROOT, SAMPLES

# Nobody listens on port 1.
LOCAL_MLLM = {
    "MEDSAM3_PLANNER": "openai",
    "MEDSAM3_OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
    "MEDSAM3_OPENAI_MODEL": "local",
}


def load(settings: Settings) -> Backend[Any]:
    return ThresholdBackend()


def load_nothing(settings: Settings) -> Backend[Any]:
    raise WeightsFault("the bundled model does not load (FileNotFoundError)")


def run(*argv: str | Path, environ: dict[str, str] | None = None) -> int:
    return main([str(part) for part in argv], {} if environ is None else environ, load)


@pytest.fixture
def image(tmp_path: Path, png: bytes) -> Path:
    path = tmp_path / "scan.png"
    path.write_bytes(png)
    return path


def test_segment_prints_what_it_found(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("segment", image, "--concept", BRIGHT) == 0
    out, err = capsys.readouterr()
    assert "bright region: 1 found" in out
    assert "80 px, 13 x 10 px across, box 20,10,30,18" in out
    assert "loading the model" in err


def test_segment_prints_json_alone_on_stdout(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("segment", image, "--concept", BRIGHT, "--concept", NOTHING, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert [len(result["masks"]) for result in answer["results"]] == [1, 0]
    assert answer["needs_review"] is True


def test_segment_takes_a_box(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("segment", image, "--box", "0,0,25,30", "--json") == 0
    mask = json.loads(capsys.readouterr().out)["results"][0]["masks"][0]
    assert mask["box"] == [20.0, 10.0, 25.0, 18.0]


def test_segment_writes_masks_overlay_and_result(image: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    assert run("segment", image, "--concept", BRIGHT, "--out", folder) == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "m1.png",
        "measures.csv",
        "overlay.png",
        "result.json",
    ]
    [row] = csv.DictReader((folder / "measures.csv").read_text().splitlines())
    assert (row["image"], row["mask_id"], row["area_px"]) == (image.name, "m1", "80")
    assert (row["width_px"], row["height_px"], row["width_mm"]) == ("10", "8", "")
    assert int(decode_mask_png((folder / "m1.png").read_bytes()).sum()) == 80
    assert json.loads((folder / "result.json").read_text())["results"][0]["text"] == BRIGHT


def test_nothing_found_is_no_failure(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("segment", image, "--concept", NOTHING) == 0
    assert "looked and found none" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--box", "1,2,3"], "box: must be four numbers"),
        (["--box", "5,5,1,1"], "box needs x1 > x0"),
        (["--box", "100,100,120,120"], "outside"),
        (["--concept", " "], "must not be blank"),
        (["--concept", "x", "--threshold", "2"], "threshold"),
        (["--concept", "x", "--threshold", "nan"], "threshold"),
        (["--concept", "x", "--max-masks", "0"], "max_masks"),
        (["--concept", "x", "--concept", "y", "--box", "0,0,5,5"], "--box goes with one --concept"),
        ([], "give --concept or --box"),
    ],
)
def test_bad_input_is_one_clear_line(
    image: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run("segment", image, *arguments) == 2
    out, err = capsys.readouterr()
    last = err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"just some text", "this is a text file"),
        (b"", "scan.png is empty"),
        (b"\x89PNG\r\n\x1a\n", "cut short"),
    ],
)
def test_a_file_that_is_no_image_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(content)
    assert run("segment", path, "--concept", "x") == 2
    assert message in capsys.readouterr().err


def test_a_file_that_is_not_there_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("ask", tmp_path / "none.png", "the spot") == 2
    assert "No such file" in capsys.readouterr().err


def test_missing_weights_are_a_failure_with_advice(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["segment", str(image), "--concept", "x"], {}, load_nothing) == 1
    assert "error: the bundled model does not load" in capsys.readouterr().err


def test_ask_runs_the_agent(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    assert run("ask", image, "the bright region", "--json", "--out", folder) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["request"] == "the bright region"
    assert answer["status"] in ("found", "not_found", "uncertain")
    assert answer["provenance"]["planner"]["kind"] == "rules"
    assert (folder / "overlay.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "result.json").read_text()) == answer


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["the spot", "--planner", "oracle"], "planner"),
        (["the spot", "--planner", "gemini"], "planner"),
        (["the spot", "--max-rounds", "4"], "max_rounds"),
        (["the spot", "--box", "90,90,99,99"], "box"),
        ([" "], "request"),
    ],
)
def test_a_wrong_request_is_bad_input(
    image: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run("ask", image, *arguments) == 2
    assert message in capsys.readouterr().err


def test_the_demo_compares_with_the_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("demo", "--out", tmp_path / "demo") == 0
    out = capsys.readouterr().out
    for word in ("target", "status", "Dice", "seconds", "Not a medical device"):
        assert word in out
    assert (tmp_path / "demo" / "overlay.png").exists()
    assert (tmp_path / "demo" / "comparison.png").exists()
    run_kept = json.loads((tmp_path / "demo" / "result.json").read_text())
    assert run("demo", "--out", tmp_path / "again", "--json") == 0
    outcome = json.loads(capsys.readouterr().out)
    assert 0 <= outcome["dice"] <= 1
    assert outcome["run"]["status"] == run_kept["status"]


def test_the_samples_are_what_they_say() -> None:
    sizes = {}
    for name in ("busi_tumor", "busi_normal", "dsb2018_nuclei"):
        assert (SAMPLES / f"{name}.jpg").exists()
        sizes[name] = int(decode_mask_png((SAMPLES / f"{name}_mask.png").read_bytes()).sum())
    assert sizes["busi_normal"] == 0
    assert sizes["busi_tumor"] > 1000
    assert sizes["dsb2018_nuclei"] > 1000
    assert "CC BY 4.0" in (SAMPLES / "README.md").read_text(encoding="utf-8")


def test_doctor_says_that_the_default_path_works(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", "--json") == 0
    diagnosis = json.loads(capsys.readouterr().out)
    assert diagnosis["works"] is True
    states = {check["name"]: check["state"] for check in diagnosis["checks"]}
    assert states["weights"] == "ok"
    assert states["queue"] == "ok"
    assert states["sam3"] == "note"


def test_doctor_names_what_is_wrong_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    environ = {
        "MEDSAM3_HOST": "0.0.0.0",
        "MEDSAM3_REDIS_URL": "redis://127.0.0.1:1/0",
        "MEDSAM3_PLANNER": "gemini",
    }
    assert main(["doctor"], environ, load_nothing) == 1
    out = capsys.readouterr().out
    assert out.count("FAIL") >= 4
    for advice in ("MEDSAM3_API_KEYS", "MEDSAM3_GEMINI_MODEL", "MEDSAM3_REDIS_URL", "clone anew"):
        assert advice in out


def test_doctor_says_which_model_plans_and_where(capsys: pytest.CaptureFixture[str]) -> None:
    run("doctor", environ=dict(LOCAL_MLLM))
    assert "openai: " in capsys.readouterr().out
    run("doctor", environ={"MEDSAM3_PLANNER": "openai", "MEDSAM3_AZURE_DEPLOYMENT": "prod-1"})
    assert "MEDSAM3_AZURE_DEPLOYMENT needs MEDSAM3_AZURE_ENDPOINT" in capsys.readouterr().out


def test_doctor_worker_needs_a_queue(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", "--worker") == 2
    assert run("doctor", "--worker", environ={"MEDSAM3_REDIS_URL": "redis://127.0.0.1:1/0"}) == 1
    assert "Redis at 127.0.0.1:1 does not answer" in capsys.readouterr().out


def test_capabilities_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("capabilities") == 0
    found = json.loads(capsys.readouterr().out)
    assert BRIGHT in found["concepts"]
    assert found["planners"]["default"] == "rules"


def test_an_mllm_of_ones_own_is_the_default_when_it_is_set_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("capabilities", environ=dict(LOCAL_MLLM)) == 0
    planners = json.loads(capsys.readouterr().out)["planners"]
    assert planners == {"available": ["openai", "rules"], "default": "openai"}


def test_when_the_mllm_is_away_the_rules_answer_and_say_so(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("ask", image, "the bright region", "--json", environ=dict(LOCAL_MLLM)) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["status"] in ("found", "not_found", "uncertain")
    assert answer["provenance"]["planner"]["fallbacks"]


def test_a_public_bind_without_a_key_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("serve", "--host", "0.0.0.0") == 2
    err = capsys.readouterr().err.strip()
    assert len(err.splitlines()) == 1
    assert "refusing to listen on 0.0.0.0 without a key" in err


def test_a_taken_port_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run("serve", "--port", str(port)) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last == f"error: cannot listen on 127.0.0.1:{port}: Address already in use"


def test_a_port_out_of_range_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("serve", "--port", "99999") == 2
    err = capsys.readouterr().err
    assert "error: --port: " in err
    assert "MEDSAM3_PORT" not in err


def test_a_worker_without_a_queue_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("worker") == 2
    assert "MEDSAM3_REDIS_URL" in capsys.readouterr().err


def test_a_worker_whose_queue_is_away_says_where_it_should_be() -> None:
    environ = {"MEDSAM3_REDIS_URL": "redis://somebody:secret@127.0.0.1:1/0"}
    # In a process of its own: pytest takes the logs of this one.
    done = subprocess.run(
        [sys.executable, "-m", "api", "worker"],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    err = done.stderr.strip()
    assert len(err.splitlines()) == 1, err
    assert err.startswith("error: Redis at 127.0.0.1:1 does not answer")
    assert "secret" not in err
    assert "somebody" not in err


def test_serve_without_weights_fails_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "1"], {}, load_nothing) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_misspelt_setting_is_refused_by_every_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("doctor", environ={"MEDSAM3_REDIS_ULR": "x"}) == 2
    assert "MEDSAM3_REDIS_URL" in capsys.readouterr().err


def test_tracing_is_off_before_anything_runs() -> None:
    environ = {"LANGSMITH_TRACING": "true"}
    run("worker", environ=environ)
    assert environ["LANGSMITH_TRACING"] == "false"


def test_usage_faults_end_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["segment"], ["dance"], []):
        with pytest.raises(SystemExit) as caught:
            run(*argv)
        assert caught.value.code == 2
    capsys.readouterr()
