"""Encoded pictures on disk: the frozen encoder runs once for each, whatever the epochs."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from segmenter.backends.sam3.network import Sam3Network
from segmenter.backends.sam3.preprocess import to_pixels
from segmenter.training.sam3.data import Annotated, digest, read_rgb

NAME = "encoded"


class EncodedPictures:
    """Encodings in bfloat16 by picture, weights and size; the longest unused go first.

    Rounded to bfloat16 also when they were just made, so that a run does not depend on what was
    kept.
    """

    def __init__(self, network: Sam3Network, folder: Path, limit_bytes: int) -> None:
        """Keep encodings in a folder, which other runs may share."""
        self._network = network
        self._folder = folder
        self._limit = limit_bytes
        self._digests: dict[Path, str] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, picture: Annotated) -> Tensor:
        """Return a picture's encoding, bfloat16, shape (1, tokens, width)."""
        path = self._path(picture)
        if path.exists():
            path.touch()
            return load_file(path)[NAME]
        pixels = to_pixels(read_rgb(picture), self._network.image_size)
        encoded = self._network.encode(pixels).to("cpu", torch.bfloat16).clone()
        # Whole or not at all: a run may be stopped at any time.
        fresh = path.with_suffix(".new")
        save_file({NAME: encoded}, fresh)
        fresh.replace(path)
        self._make_room(path)
        return encoded

    def _path(self, picture: Annotated) -> Path:
        if picture.path not in self._digests:
            self._digests[picture.path] = digest(picture)
        weights, side = self._network.weights_sha256[:16], self._network.image_size
        return self._folder / f"{self._digests[picture.path][:32]}-{weights}-{side}.safetensors"

    def _make_room(self, newest: Path) -> None:
        kept = sorted(self._folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime)
        total = sum(path.stat().st_size for path in kept)
        for path in kept:
            if total <= self._limit or path == newest:
                return
            total -= path.stat().st_size
            path.unlink()
