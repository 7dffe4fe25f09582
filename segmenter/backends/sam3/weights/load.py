"""Loads SAM 3 or MedSAM-3 from disk into a `Sam3Network`, exactly or not at all."""

from pathlib import Path
from typing import Any, NamedTuple, TypedDict, Unpack

import torch
from peft import PeftModel
from torch import Tensor
from transformers import Sam3Config, Sam3Model
from transformers.utils import logging

from segmenter.backends.sam3 import adapter as sam3_adapter
from segmenter.backends.sam3.errors import WeightsError, listed
from segmenter.backends.sam3.network import Sam3Network
from segmenter.backends.sam3.tokenizer import FILE, Tokenizer
from segmenter.backends.sam3.tracker import Sam3Tracker
from segmenter.backends.sam3.weights import lora as sam3_lora
from segmenter.backends.sam3.weights.checkpoint import (
    check_tensors,
    find_checkpoint,
    read_config,
    read_tensors,
    sha256_of,
    to_detector,
)
from segmenter.backends.sam3.weights.tracker import build_tracker, to_tracker

TOKENIZER = "tokenizer"


class Loaded(NamedTuple):
    """A model in float32 on the CPU, and what belongs to it.

    Attributes:
        model: with an adapter, or bare.
        tokenizer: of the weights.
        files: that were read, with the LoRA's.
        merged: whether a LoRA was merged into the weights.
        tracker: None for weights of the detector alone.
    """

    model: Sam3Model | PeftModel
    tokenizer: Tokenizer
    files: tuple[Path, ...]
    merged: bool
    tracker: Sam3Tracker | None


class LoadOptions(TypedDict, total=False):
    """What is loaded beside SAM 3's own weights.

    Attributes:
        lora: MedSAM-3's LoRA file, or a folder that PEFT saved; None for SAM 3 alone.
        lora_config: YAML of a LoRA file.
        alpha: of a LoRA file, where there is no YAML.
        merged: merge the LoRA instead of keeping it apart; then base SAM 3 is gone.
    """

    lora: Path | None
    lora_config: Path | None
    alpha: float | None
    merged: bool


def load_network(
    source: Path,
    *,
    device: str = "cpu",
    vision_dtype: torch.dtype = torch.float32,
    detector_dtype: torch.dtype = torch.float32,
    **options: Unpack[LoadOptions],
) -> Sam3Network:
    """Load a model and put it on its device.

    Args:
        source: see `load_model`.
        device: of torch.
        vision_dtype: of the vision encoder.
        detector_dtype: of everything else.
        options: see `LoadOptions`.

    Raises:
        WeightsError: see `load_model`.
    """
    loaded = load_model(source, **options)
    place(loaded.model, torch.device(device), vision_dtype, detector_dtype)
    if loaded.tracker is not None:
        loaded.tracker.to(torch.device(device), torch.float32)
    return Sam3Network(
        loaded.model,
        loaded.tokenizer,
        weights_sha256=sha256_of(loaded.files),
        merged=loaded.merged,
        tracker=loaded.tracker,
    )


def load_model(source: Path, **options: Unpack[LoadOptions]) -> Loaded:
    """Read weights from disk; the tokenizer lies beside them or in ``tokenizer`` beside them.

    Args:
        source: file ``sam3.pt`` or ``*.safetensors``, or a folder with one of them.
        options: see `LoadOptions`.

    Raises:
        WeightsError: see `find_checkpoint`, `check_tensors`, `read_lora` and `attach_folder`.
    """
    checkpoint = find_checkpoint(source)
    words = Tokenizer(_tokenizer_folder(checkpoint.folder))
    tensors, config = read_tensors(checkpoint), read_config(checkpoint.config)
    tracked = to_tracker(tensors, checkpoint.layout)
    tracker = build_tracker(config, checkpoint.config, tracked) if tracked else None
    model = build(config, to_detector(tensors, checkpoint.layout))
    lora, merged = options.get("lora"), options.get("merged", False)
    if lora is None:
        return Loaded(model, words, checkpoint.files, merged=False, tracker=tracker)
    if lora.is_dir():
        adapted = sam3_adapter.attach_folder(model, lora)
        files = sam3_adapter.adapter_files(lora)
    else:
        change = sam3_lora.read_lora(
            lora, model, config=options.get("lora_config"), alpha=options.get("alpha")
        )
        adapted, files = sam3_lora.attach(model, change), (lora,)
    whole: Any = adapted
    if merged:
        whole = whole.merge_and_unload()
    return Loaded(whole, words, (*checkpoint.files, *files), merged, tracker)


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


def place(
    model: Sam3Model | PeftModel,
    device: torch.device,
    vision_dtype: torch.dtype,
    detector_dtype: torch.dtype,
) -> None:
    """Move a model to its device and dtypes, in place, kernels in the order read fastest."""
    bare: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    bare.to(device=device, dtype=detector_dtype, memory_format=torch.channels_last)
    bare.vision_encoder.to(dtype=vision_dtype)
