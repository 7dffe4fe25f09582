"""Opens the SAM 3 backend from settings; the only door for code that does not know torch."""

from pathlib import Path
from typing import Literal

import torch

from segmenter.backends.sam3.backend import Sam3Backend
from segmenter.backends.sam3.errors import WeightsError
from segmenter.backends.sam3.weights.checkpoint import find_checkpoint
from segmenter.backends.sam3.weights.hub import locate
from segmenter.backends.sam3.weights.load import load_network
from segmenter.contract import Frozen

CUDA = "cuda"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Sam3Options(Frozen):
    """Which weights, and how they run.

    Attributes:
        weights: path, or name on the hub that is in the local cache.
        lora: path of MedSAM-3's LoRA file or of an adapter's folder.
        lora_config: YAML of a LoRA file.
        alpha: of a LoRA file without YAML.
        merged: merge the LoRA; base SAM 3 can then not be asked.
        device: of torch; None for the GPU if there is one.
        vision_dtype: of the vision encoder; None for bfloat16 on a GPU and float32 elsewhere.
        detector_dtype: of all else.
        compiled: torch.compile the vision encoder; needs a C++ compiler on a CPU.
    """

    weights: str
    lora: Path | None = None
    lora_config: Path | None = None
    alpha: float | None = None
    merged: bool = False
    device: str | None = None
    vision_dtype: Literal["float32", "bfloat16"] | None = None
    detector_dtype: Literal["float32", "bfloat16"] = "float32"
    compiled: bool = False


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
        alpha=options.alpha,
        merged=options.merged,
        device=device,
        vision_dtype=DTYPES[dtype],
        detector_dtype=DTYPES[options.detector_dtype],
    )
    if options.compiled:
        network.compile()
    names = [options.weights if source != Path(options.weights) else source.name]
    if options.lora is not None:
        names.append(options.lora.name)
    layout = f"{find_checkpoint(source).layout} layout"
    return Sam3Backend(network, weights_id=" + ".join(names), notes=layout)
