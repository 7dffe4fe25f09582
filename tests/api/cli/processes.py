"""Processes of ``medsam3`` as a person starts them."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.paths import ROOT

WITHIN_S = 60.0
NO_SETTINGS: Mapping[str, str] = {}
COMMAND = [sys.executable, "-m", "api"]


def environ(settings: Mapping[str, str] = NO_SETTINGS) -> dict[str, str]:
    """Return an environment without settings but these."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), **settings}


def medsam3(
    *argv: str | Path,
    stdin: bytes = b"",
    cwd: Path = ROOT,
    settings: Mapping[str, str] = NO_SETTINGS,
) -> "subprocess.CompletedProcess[bytes]":
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, argv)],
        input=stdin,
        env=environ(settings),
        cwd=cwd,
        capture_output=True,
        timeout=WITHIN_S,
        check=False,
    )
