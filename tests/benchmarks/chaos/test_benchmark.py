"""The benchmark itself, small: real processes, killed for real."""

from pathlib import Path

import pytest

from benchmarks.chaos.__main__ import main

pytestmark = pytest.mark.slow


def test_a_small_deployment_loses_nothing_while_it_is_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ["--runs", "8", "--calls", "12", "--minutes", "6"]
    status = main(["--seed", "3", *size, "--logs", str(tmp_path)])
    said = capsys.readouterr()
    assert status == 0, said.out + said.err
    assert "| agent runs | 8, 4 of them asynchronous |" in said.out
    assert "| Redis restarted | 2 |" in said.out
