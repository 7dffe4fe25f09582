"""Where the sample files are; tests that need them skip, and say so, when they are not there."""

from collections.abc import Callable

import pytest

from tests.paths import SHARED


@pytest.fixture
def sample() -> Callable[[str], bytes]:
    """Return the bytes of a file under samples/, or skip the test."""

    def read(name: str) -> bytes:
        path = SHARED / "samples" / name
        if not path.exists():
            pytest.skip(f"no sample file {path} (set MEDSAM3_SHARED)")
        return path.read_bytes()

    return read
