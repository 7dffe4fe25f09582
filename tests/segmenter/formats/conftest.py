"""Where the sample files are; tests that need them skip, and say so, when they are not there."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def shared_folder() -> Path:
    return Path(os.environ.get("MEDSAM3_SHARED", ROOT.parent / "shared"))


@pytest.fixture
def sample() -> Callable[[str], bytes]:
    """Return the bytes of a file under samples/, or skip the test."""

    def read(name: str) -> bytes:
        path = shared_folder() / "samples" / name
        if not path.exists():
            pytest.skip(f"no sample file {path} (set MEDSAM3_SHARED)")
        return path.read_bytes()

    return read
