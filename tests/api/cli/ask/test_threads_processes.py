"""Conversations from one process to the next, and in one, as a person has them."""

import json
import re
import shlex
from pathlib import Path

import pytest

from api.cli.main import main
from tests.agent.loopback import loopback, says
from tests.api.cli.processes import medsam3
from tests.paths import SAMPLES

TUMOUR = SAMPLES / "busi_tumor.jpg"
REQUEST = "outline the tumour"


def masks(folder: Path) -> list[str]:
    result = json.loads((folder / "result.json").read_text())
    return [mask["id"] for target in result["targets"] for mask in target["masks"]]


def test_a_kept_thread_goes_on_with_the_command_that_is_told(tmp_path: Path) -> None:
    out = tmp_path / "of today"
    first = medsam3("ask", TUMOUR, REQUEST, "--keep", "--out", out)
    assert first.returncode == 0, first.stderr
    assert masks(out) == ["m1"]
    told = re.search(rb"medsam3 (ask --thread thr_.*)", first.stdout)
    assert told is not None
    argv = [word.replace("REQUEST", "mask 1 is wrong") for word in shlex.split(told[1].decode())]
    second = medsam3(*argv)
    assert second.returncode == 0, second.stderr
    assert "m1" not in masks(out)
    assert not (out / "m1.png").exists()
    assert medsam3(*[word.replace("mask 1 is wrong", "undo") for word in argv]).returncode == 0
    assert masks(out) == ["m1"]


def test_a_thread_in_the_configured_store_goes_on_there(tmp_path: Path) -> None:
    store = {"MEDSAM3_STATE_URL": f"sqlite:///{tmp_path / 'state.sqlite'}"}
    first = medsam3("ask", TUMOUR, REQUEST, "--json", settings=store)
    thread = json.loads(first.stdout)["thread_id"]
    second = medsam3("ask", "--thread", thread, "undo", "--json", settings=store)
    assert second.returncode == 0, second.stderr
    assert json.loads(second.stdout)["thread_id"] == thread


def test_a_thread_that_is_not_kept_is_said_to_be_so() -> None:
    done = medsam3("ask", TUMOUR, REQUEST)
    assert b"is not kept; for more than one request use medsam3 chat, or --keep" in done.stdout


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--thread", f"thr_{'0' * 32}", "undo"], "no store is set up"),
        (["--thread", f"thr_{'0' * 32}", "undo", "--out", "OUT"], "no thread is kept in"),
        (["--thread", "thr_0", "scan.png", "undo"], "give the request alone"),
        ([str(TUMOUR), REQUEST, "--keep"], "give --out DIR"),
        ([str(TUMOUR)], "give a picture and a request"),
    ],
)
def test_what_is_missing_for_a_thread_is_one_line(
    argv: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", *[str(tmp_path) if word == "OUT" else word for word in argv]], {}) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1


def test_a_chat_is_one_thread_with_a_folder_for_each_turn(tmp_path: Path) -> None:
    out = tmp_path / "chat"
    said = b"mask 1 is wrong\n\nundo\n\xff\n" + b"x" * 2001 + b"\nundo\nquit\nundo\n"
    done = medsam3("chat", TUMOUR, REQUEST, "--out", out, stdin=said)
    assert done.returncode == 0, done.stderr
    turns = sorted(out.iterdir())
    assert [turn.name for turn in turns] == [f"turn-{number}" for number in range(1, 6)]
    threads = {json.loads((turn / "result.json").read_text())["thread_id"] for turn in turns}
    assert len(threads) == 1
    assert masks(turns[0]) == masks(turns[2]) == ["m1"]
    assert "m1" not in masks(turns[1])
    assert (turns[0] / "m1.png").exists()
    assert (turns[0] / "overlay.png").exists()
    assert done.stderr.count(b"error: request: ") == 1
    assert f"-> {turns[0]}/".encode() in done.stdout
    assert b"> undo\n" in done.stdout


def test_a_chat_names_the_folder_it_writes_to(tmp_path: Path) -> None:
    done = medsam3("chat", TUMOUR, stdin=f"{REQUEST}\n".encode(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    named = re.search(rb"go to (out/chat-\S+)/", done.stderr)
    assert named is not None
    assert masks(tmp_path / named[1].decode() / "turn-1") == ["m1"]


def test_a_chat_says_why_the_rules_took_over(tmp_path: Path) -> None:
    with loopback(says("no JSON at all")) as server:
        settings = {
            "MEDSAM3_PLANNER": "openai",
            "MEDSAM3_OPENAI_BASE_URL": f"{server.url}/v1",
            "MEDSAM3_OPENAI_MODEL": "scripted",
        }
        lines = f"{REQUEST}\n".encode()
        done = medsam3("chat", TUMOUR, "--out", tmp_path / "chat", stdin=lines, settings=settings)
        assert done.returncode == 0, done.stderr
        assert server.received
    assert b"the rules took over: " in done.stdout
    assert b"no JSON at all" not in done.stdout + done.stderr
