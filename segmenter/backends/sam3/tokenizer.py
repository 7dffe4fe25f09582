"""Phrases to token ids as SAM 3 makes them: clean text, CLIP's vocabulary, 32 tokens."""

import html
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ftfy
import torch
from torch import Tensor
from transformers import CLIPTokenizer

from segmenter.backends.sam3.errors import WeightsError

CONTEXT = 32
END = 49407
PADDING = 0
FILE = "tokenizer.json"
# What the original writes where there is a box and no phrase.
VISUAL = "visual"
_SPACES = re.compile(r"\s+")


class Tokenizer:
    """CLIP's byte pair encoding, read from a folder."""

    def __init__(self, folder: Path) -> None:
        """Read the vocabulary.

        Raises:
            WeightsError: the folder has no tokenizer.
        """
        if not (folder / FILE).is_file():
            raise WeightsError(f"no {FILE} in {str(folder)!r}: it comes with the weights")
        self.folder = folder
        self._clip: Any = CLIPTokenizer.from_pretrained(folder, local_files_only=True)

    def __call__(self, phrases: Sequence[str | None]) -> Tensor:
        """Return token ids: int64, shape (N, 32), padded with 0; None is ``visual``.

        A longer phrase is cut, and its last token is the end. The original takes every 0 for
        padding, so `padding_free` of these ids is its attention mask.
        """
        rows = [self._row(VISUAL if phrase is None else phrase) for phrase in phrases]
        return torch.tensor(rows, dtype=torch.int64).reshape(len(rows), CONTEXT)

    def _row(self, phrase: str) -> list[int]:
        ids: list[int] = self._clip(clean(phrase), verbose=False)["input_ids"]
        if len(ids) > CONTEXT:
            ids = [*ids[: CONTEXT - 1], END]
        return [*ids, *[PADDING] * (CONTEXT - len(ids))]


def padding_free(ids: Tensor) -> Tensor:
    """Return the attention mask of ids: int64, 1 where there is a token."""
    return (ids != PADDING).long()


def clean(phrase: str) -> str:
    """Mend broken characters, resolve HTML entities, collapse spaces, lower the case."""
    mended = html.unescape(html.unescape(ftfy.fix_text(phrase)))
    return _SPACES.sub(" ", mended).strip().lower()
