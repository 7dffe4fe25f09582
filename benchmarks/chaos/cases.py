"""The pictures and words that are asked for: the shipped samples, turned and mirrored."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from PIL import Image

SAMPLES = Path(__file__).parents[2] / "api" / "samples"
WORDS = {
    "busi_tumor.jpg": ("Outline the breast tumour", "breast tumor"),
    "busi_normal.jpg": ("Outline the breast tumour", "breast tumor"),
    "dsb2018_nuclei.jpg": ("Outline the nuclei", "nuclei"),
}
# Each turn has masks of its own, so that an answer to another request is seen.
TURNS = {
    "": None,
    "-mirrored": Image.Transpose.FLIP_LEFT_RIGHT,
    "-upside-down": Image.Transpose.ROTATE_180,
    "-transposed": Image.Transpose.TRANSPOSE,
}


class Case(NamedTuple):
    """A picture and what is asked of it.

    Attributes:
        content: PNG.
        request: in plain words, for the agent.
        concept: the same for a direct segmentation.
    """

    content: bytes
    request: str
    concept: str


def load_cases() -> Mapping[str, Case]:
    """Return all cases by name."""
    cases: dict[str, Case] = {}
    for file, (request, concept) in WORDS.items():
        with Image.open(SAMPLES / file) as opened:
            image = opened.convert("RGB")
        for suffix, turn in TURNS.items():
            turned = image if turn is None else image.transpose(turn)
            buffer = io.BytesIO()
            turned.save(buffer, "PNG")
            cases[Path(file).stem + suffix] = Case(buffer.getvalue(), request, concept)
    return cases
