"""Ctrl-C in real processes: one line, exit status 130, no traceback, whenever it comes."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.cli.processes import COMMAND, WITHIN_S, environ
from tests.paths import ROOT, SAMPLES

TUMOUR = str(SAMPLES / "busi_tumor.jpg")
REQUEST = "outline the tumour"
# Interrupts its own process when a module is looked for.
WHILE_IMPORTING = """
import os, signal, sys
from importlib.abc import MetaPathFinder

class Interrupts(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == MODULE:
            os.kill(os.getpid(), signal.SIGINT)

from api.cli.main import main
sys.meta_path.insert(0, Interrupts())
sys.argv[1:] = ["doctor"]
sys.exit(main())
"""


def start(*argv: str) -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*COMMAND, *argv], stdin=pipe, stdout=pipe, stderr=pipe, env=environ(), cwd=ROOT
    )


def interrupted(run: "subprocess.Popen[bytes]", *, after: bytes) -> tuple[int, list[bytes]]:
    """Interrupt once a line on stderr begins so; returns exit status and the lines after it."""
    assert run.stderr is not None
    for line in run.stderr:
        if line.startswith(after):
            break
    run.send_signal(signal.SIGINT)
    rest = run.communicate(timeout=WITHIN_S)[1]
    return run.returncode, rest.splitlines()


def test_while_the_model_loads() -> None:
    assert interrupted(start("ask", TUMOUR, REQUEST), after=b"loading") == (130, [b"interrupted"])


def test_while_it_looks() -> None:
    code, lines = interrupted(start("ask", TUMOUR, REQUEST), after=b"400 x 331")
    assert (code, lines) == (130, [b"interrupted"])


def test_in_the_middle_of_a_folder_whose_rest_is_done_later(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number}.jpg").symlink_to(TUMOUR)
    code, lines = interrupted(start("ask", str(folder), REQUEST, "--out", str(out)), after=b"[###")
    assert code == 130
    assert lines[-1] == b"interrupted"
    assert all(line.startswith(b"[###") for line in lines[:-1])
    done = len(list(out.rglob("done.json")))
    assert 0 < done < 40
    assert not (out / "results.csv").exists()
    for number in range(20, 40):
        (folder / f"{number}.jpg").unlink()
    again = start("ask", str(folder), REQUEST, "--out", str(out))
    printed, _ = again.communicate(timeout=WITHIN_S)
    assert again.returncode == 0
    assert b"of them were done before" in printed


def test_while_a_chat_waits_for_a_line(tmp_path: Path) -> None:
    run = start("chat", TUMOUR, "--out", str(tmp_path / "chat"))
    assert interrupted(run, after=b"one request a line") == (130, [b"interrupted"])


@pytest.mark.parametrize("module", ["api.cli.commands", "numpy", "langgraph", "onnxruntime"])
def test_while_something_is_imported(module: str) -> None:
    code = f"MODULE = {module!r}\n{WHILE_IMPORTING}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environ(),
        cwd=ROOT,
        capture_output=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout) == (130, b"interrupted\n", b"")


def test_a_process_that_ignores_it_goes_on_ignoring_it() -> None:
    code = "\n".join(
        (
            "import os, signal, sys",
            "signal.signal(signal.SIGINT, signal.SIG_IGN)",
            "from api.cli.main import main",
            "sys.argv[1:] = ['replay', 'nothing']",
            "os.kill(os.getpid(), signal.SIGINT)",
            "code = main()",
            "os.kill(os.getpid(), signal.SIGINT)",
            "sys.exit(code)",
        )
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ(), cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 2
