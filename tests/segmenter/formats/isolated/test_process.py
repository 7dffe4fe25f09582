"""A child process has no secrets, stays within its bounds, and says how it ended."""

from pathlib import Path

import pytest

from segmenter.formats.isolated.process import Bounds, Ended, run_isolated

ENOUGH = Bounds(memory_bytes=2**30, cpu_s=20, timeout_s=30.0)


def run(folder: Path, code: str, *arguments: str, bounds: Bounds = ENOUGH) -> Ended:
    program = folder / "program.py"
    program.write_text(code)
    return run_isolated(program, arguments, b"given", bounds)


def test_a_program_gets_its_arguments_and_its_input(tmp_path: Path) -> None:
    code = "import sys; print(__name__, sys.argv[1:], sys.stdin.read()); sys.exit(3)"
    ended = run(tmp_path, code, "one", "two")
    assert ended == Ended(3, b"__main__ ['one', 'two'] given\n")


def test_a_program_is_given_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSAM3_OPENAI_API_KEY", "secret")
    assert b"MEDSAM3" not in run(tmp_path, "import os; print(dict(os.environ))").output


def test_what_a_program_complains_of_is_not_heard(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "raise ValueError('patient')").status == 1
    assert capfd.readouterr() == ("", "")


def test_a_program_cannot_take_more_memory_than_it_may(tmp_path: Path) -> None:
    code = "bytes(2**29); print('taken')"
    assert run(tmp_path, code).output == b"taken\n"
    assert run(tmp_path, code, bounds=ENOUGH._replace(memory_bytes=2**28)) == Ended(1, b"")


def test_a_program_cannot_compute_longer_than_it_may(tmp_path: Path) -> None:
    assert run(tmp_path, "while True: pass", bounds=ENOUGH._replace(cpu_s=1)).status < 0


def test_a_program_that_waits_too_long_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="within 1 s"):
        run(tmp_path, "import time; time.sleep(60)", bounds=ENOUGH._replace(timeout_s=1.0))
