"""SAM 3 at its published size with random weights: for timings where the real ones are not."""

from pathlib import Path
from typing import Any

import torch
from transformers import Sam3Model

from segmenter.backends.sam3 import Sam3Backend
from segmenter.backends.sam3_checkpoint import read_config
from segmenter.backends.sam3_load import build, place
from segmenter.backends.sam3_network import Sam3Network
from segmenter.backends.sam3_tokens import Tokenizer

# Spread of the weights; activations then stay finite through all layers.
SPREAD = 0.02
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def random_backend(
    tokenizer: Path, *, device: str, vision: str, detector: str, seed: int = 0
) -> Sam3Backend:
    """Return a backend of 840 million random numbers; its masks mean nothing.

    Args:
        tokenizer: folder of CLIP's tokenizer.
        device: of torch.
        vision: name of the vision encoder's dtype.
        detector: name of the dtype of everything else.
        seed: of the numbers.
    """
    config = read_config(None)
    kind: Any = Sam3Model
    with torch.device("meta"):
        shapes = {name: each.shape for name, each in kind._from_config(config).state_dict().items()}
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        name: torch.randn(shape, generator=generator).mul_(SPREAD) for name, shape in shapes.items()
    }
    model = build(config, tensors)
    place(model, torch.device(device), DTYPES[vision], DTYPES[detector])
    network = Sam3Network(model, Tokenizer(tokenizer), weights_sha256="0" * 64)
    return Sam3Backend(network, weights_id="random")
