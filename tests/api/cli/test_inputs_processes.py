"""``-`` in place of a file: the picture comes on standard input, in real processes."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from tests.api.cli.processes import medsam3
from tests.paths import SAMPLES

TUMOUR = (SAMPLES / "busi_tumor.jpg").read_bytes()


def test_ask_reads_the_picture_from_standard_input() -> None:
    done = medsam3("ask", "-", "outline the tumour", "--json", stdin=TUMOUR)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["image"]["width"] == 400


def test_segment_reads_the_picture_from_standard_input() -> None:
    done = medsam3("segment", "-", "--concept", "breast tumor", stdin=TUMOUR)
    assert done.returncode == 0, done.stderr
    assert b"breast tumor: 1 found" in done.stdout


def test_segment_reads_a_volume_from_standard_input(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((24, 30, 2), np.int16), np.eye(4)), path)
    done = medsam3("segment", "-", "--prompt", "polyp", stdin=path.read_bytes())
    assert done.returncode == 0, done.stderr
    assert b"2/2 frames" in done.stderr


@pytest.mark.parametrize(
    ("argv", "stdin", "words"),
    [
        (["ask", "-", "outline it"], b"", b"standard input is empty"),
        (["segment", "-", "--concept", "polyp"], b"", b"standard input is empty"),
        (["ask", "-", "outline it"], b"x" * 5001, b"more than 5000 bytes"),
        (["segment", "-", "-", "--concept", "polyp"], b"", b"- is one file"),
        (["chat", "-"], b"outline it\n", b"give the picture as a file"),
    ],
)
def test_what_cannot_be_read_is_one_line(argv: list[str], stdin: bytes, words: bytes) -> None:
    done = medsam3(*argv, stdin=stdin, settings={"MEDSAM3_MAX_UPLOAD_BYTES": "5000"})
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: ")
    assert words in done.stderr
    assert done.stderr.count(b"\n") == 1
