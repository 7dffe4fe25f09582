"""SAM 3 at its published size with random weights: for timings where the real ones are not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import Sam3Model

from segmenter.backends.sam3.backend import Sam3Backend
from segmenter.backends.sam3.network import Detections, DetectorPrompt, Sam3Network
from segmenter.backends.sam3.preprocess import to_pixels
from segmenter.backends.sam3.tokenizer import Tokenizer
from segmenter.backends.sam3.weights.checkpoint import read_config
from segmenter.backends.sam3.weights.load import build, place
from segmenter.contract import RgbImage

# Spread of biases and of norms about 1.
SPREAD = 0.02
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Precision(NamedTuple):
    """Names of the dtypes of vision encoder and of all else."""

    vision: str
    detector: str


class Difference(NamedTuple):
    """Largest difference of boxes (share of the picture's side) and scores; of masks the share."""

    boxes: float
    score: float
    mask_pixels: float


def random_backend(
    tokenizer: Path, *, device: str, precision: Precision, compiled: bool = False, seed: int = 0
) -> Sam3Backend:
    """Return a backend of 840 million random numbers; its masks mean nothing.

    Args:
        tokenizer: folder of CLIP's tokenizer.
        device: of torch.
        precision: of the weights.
        compiled: whether the vision encoder is compiled.
        seed: of the numbers.
    """
    network = random_network(tokenizer, device=device, precision=precision, seed=seed)
    if compiled:
        network.compile()
    return Sam3Backend(network, weights_id="random")


def random_network(
    tokenizer: Path, *, device: str, precision: Precision, seed: int = 0
) -> Sam3Network:
    """Return the network of `random_backend`."""
    config = read_config(None)
    kind: Any = Sam3Model
    with torch.device("meta"):
        shapes = {name: each.shape for name, each in kind._from_config(config).state_dict().items()}
    generator = torch.Generator().manual_seed(seed)
    tensors = {name: _drawn(name, shape, generator) for name, shape in shapes.items()}
    model = build(config, tensors)
    place(model, torch.device(device), DTYPES[precision.vision], DTYPES[precision.detector])
    return Sam3Network(model, Tokenizer(tokenizer), weights_sha256="0" * 64)


def _drawn(name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Draw a tensor such that activations neither vanish nor grow through all layers."""
    if len(shape) == 1:
        near = 1.0 if name.endswith("weight") else 0.0
        return torch.randn(shape, generator=generator).mul_(SPREAD).add_(near)
    fan_in = shape[1:].numel()
    return torch.randn(shape, generator=generator).mul_(fan_in**-0.5)


def compare_precisions(
    tokenizer: Path,
    *,
    device: str,
    image: RgbImage,
    phrases: Sequence[str],
    others: Sequence[Precision],
) -> dict[Precision, Difference]:
    """Return how far the answers of other precisions are from float32's, query by query."""
    questions = [DetectorPrompt(phrase) for phrase in phrases]

    def answers(precision: Precision) -> Detections:
        network = random_network(tokenizer, device=device, precision=precision)
        encoded = network.encode(to_pixels(image, network.image_size))
        found = network.detect(network.features(encoded), questions)
        return Detections(*(each.float().cpu() for each in found))

    exact = answers(Precision("float32", "float32"))
    return {other: _difference(exact, answers(other)) for other in others}


def _difference(exact: Detections, other: Detections) -> Difference:
    return Difference(
        boxes=float((exact.boxes - other.boxes).abs().max()),
        score=float((exact.logits.sigmoid() - other.logits.sigmoid()).abs().max()),
        mask_pixels=float(((exact.masks > 0) != (other.masks > 0)).float().mean()),
    )


def finish() -> None:
    """Wait until a GPU has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def gpu_peak_bytes() -> int:
    """Return the most that was taken of a GPU; 0 without one."""
    return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else 0
