"""Loads SAM 3 or MedSAM-3 from disk into a `Sam3Network`, exactly or not at all."""

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import Sam3Config, Sam3Model
from transformers.utils import logging

from segmenter.backends import sam3_lora
from segmenter.backends.sam3_checkpoint import (
    check_tensors,
    find_checkpoint,
    read_config,
    read_tensors,
    sha256_of,
    to_detector,
)
from segmenter.backends.sam3_errors import WeightsError, listed
from segmenter.backends.sam3_network import Sam3Network
from segmenter.backends.sam3_tokens import FILE, Tokenizer

TOKENIZER = "tokenizer"


def load_network(
    source: Path,
    *,
    lora: Path | None = None,
    lora_config: Path | None = None,
    alpha: float | None = None,
    merged: bool = False,
    tokenizer: Path | None = None,
    device: str = "cpu",
    vision_dtype: torch.dtype = torch.float32,
    detector_dtype: torch.dtype = torch.float32,
) -> Sam3Network:
    """Load a model.

    Args:
        source: file ``sam3.pt`` or ``*.safetensors``, or a folder with one of them.
        lora: MedSAM-3's LoRA file; None for SAM 3 alone.
        lora_config: its YAML.
        alpha: of the LoRA, where there is no YAML.
        merged: merge the LoRA instead of keeping it apart; then base SAM 3 is gone.
        device: of torch.
        tokenizer: folder; by default beside the weights or in ``tokenizer`` beside them.
        vision_dtype: of the vision encoder.
        detector_dtype: of everything else.

    Raises:
        WeightsError: see `find_checkpoint`, `check_tensors` and `read_lora`.
    """
    checkpoint = find_checkpoint(source)
    words = Tokenizer(tokenizer or _tokenizer_folder(checkpoint.folder))
    tensors = to_detector(read_tensors(checkpoint), checkpoint.layout)
    model: Sam3Model | PeftModel = build(read_config(checkpoint.config), tensors)
    files = checkpoint.files
    if lora is not None:
        change = sam3_lora.read_lora(lora, model, config=lora_config, alpha=alpha)
        files = (*files, lora)
        if merged:
            sam3_lora.merge(model, change)
        else:
            model = sam3_lora.attach(model, change)
    _place(model, torch.device(device), vision_dtype, detector_dtype)
    return Sam3Network(
        model, words, weights_sha256=sha256_of(files), merged=lora is not None and merged
    )


def build(config: Sam3Config, tensors: dict[str, Tensor]) -> Sam3Model:
    """Make the model of these very tensors, which it then owns.

    Raises:
        WeightsError: see `check_tensors`.
    """
    # It is made on the meta device and takes the tensors as they are: no second copy in memory.
    maker: Any = Sam3Model
    with torch.device("meta"):
        empty = maker._from_config(config)
    check_tensors(tensors, empty.state_dict())
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    loaded, report = maker.from_pretrained(
        None, config=config, state_dict=tensors, output_loading_info=True, dtype=torch.float32
    )
    wrong = [str(name) for names in report.values() for name in names]
    if wrong:
        raise WeightsError(f"transformers did not load {listed(wrong)}")
    model: Sam3Model = loaded.requires_grad_(False)
    return model


def _tokenizer_folder(folder: Path) -> Path:
    return folder / TOKENIZER if (folder / TOKENIZER / FILE).is_file() else folder


def _place(
    model: Sam3Model | PeftModel,
    device: torch.device,
    vision_dtype: torch.dtype,
    detector_dtype: torch.dtype,
) -> None:
    bare: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    bare.to(device=device, dtype=detector_dtype)
    bare.vision_encoder.to(dtype=vision_dtype)
