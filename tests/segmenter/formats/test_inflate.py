"""Any piece of a gzip file can be read, in any order."""

import gzip

import numpy as np
import pytest

from segmenter.errors import BrokenImage
from segmenter.formats.inflate import GzipReader


@pytest.fixture(scope="module")
def raw() -> bytes:
    rng = np.random.default_rng(1)
    return rng.integers(0, 8, 1_000_000, dtype=np.uint8).tobytes() + bytes(4_000_000)


def test_pieces_are_read_in_any_order(raw: bytes) -> None:
    reader = GzipReader(gzip.compress(raw, 3), span_bytes=300_000)
    rng = np.random.default_rng(2)
    for start, size in rng.integers(0, len(raw), (40, 2)).tolist():
        assert reader.read(start, size) == raw[start : start + size]


def test_it_ends_where_the_content_ends(raw: bytes) -> None:
    reader = GzipReader(gzip.compress(raw))
    assert reader.reach(len(raw) + 1000) == len(raw)
    assert reader.read(len(raw) - 5, 100) == raw[-5:]
    assert reader.read(len(raw) + 5, 100) == b""


def test_a_file_that_is_cut_short_gives_what_is_there(raw: bytes) -> None:
    content = gzip.compress(raw)
    assert 0 < GzipReader(content[: len(content) // 2]).reach(len(raw)) < len(raw)


def test_a_wrong_checksum_is_damage(raw: bytes) -> None:
    content = bytearray(gzip.compress(raw))
    content[-6] ^= 1
    with pytest.raises(BrokenImage):
        GzipReader(bytes(content)).reach(len(raw) + 1)
