"""Opens the SAM 3 backend from settings; the only door for code that does not know torch."""

from pathlib import Path

import torch

from segmenter.backends.sam3.backend import Sam3Backend
from segmenter.backends.sam3.errors import WeightsError
from segmenter.backends.sam3.network import Sam3Network
from segmenter.backends.sam3.video import Sam3VideoBackend
from segmenter.backends.sam3.weights.checkpoint import find_checkpoint
from segmenter.backends.sam3.weights.hub import locate
from segmenter.backends.sam3.weights.load import load_network
from segmenter.settings import Sam3Options

CUDA = "cuda"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def open_sam3(options: Sam3Options) -> Sam3Backend:
    """Load the weights; takes seconds to minutes at full size.

    Raises:
        WeightsError: see `load_network` and `locate`; or the device is not there.
    """
    device = options.device or (CUDA if torch.cuda.is_available() else "cpu")
    if device.startswith(CUDA) and not torch.cuda.is_available():
        raise WeightsError(f"torch sees no GPU for the device {device!r}")
    dtype = options.vision_dtype or ("bfloat16" if device.startswith(CUDA) else "float32")
    source = locate(options.weights, download=False)
    network = load_network(
        source,
        lora=options.lora,
        lora_config=options.lora_config,
        alpha=options.lora_alpha,
        merged=options.merge,
        device=device,
        vision_dtype=DTYPES[dtype],
        detector_dtype=DTYPES[options.detector_dtype],
    )
    if options.compile:
        network.compile()
    names = [options.weights if source != Path(options.weights) else source.name]
    if options.lora is not None:
        names.append(options.lora.name)
    layout = f"{find_checkpoint(source).layout} layout"
    return to_backend(network, weights_id=" + ".join(names), notes=layout)


def to_backend(network: Sam3Network, *, weights_id: str, notes: str = "") -> Sam3Backend:
    """Return a network as a backend; one with a tracker tracks through sequences by itself."""
    kind = Sam3Backend if network.tracker is None else Sam3VideoBackend
    return kind(network, weights_id=weights_id, notes=notes)
