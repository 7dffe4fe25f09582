"""Writes weights in transformers' layout as safetensors: readable by everybody, no pickle."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import torch
from peft import PeftModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import Sam3VideoConfig

from segmenter.backends.sam3 import adapter as sam3_adapter
from segmenter.backends.sam3.errors import WeightsError
from segmenter.backends.sam3.tokenizer import Tokenizer
from segmenter.backends.sam3.tracker import Sam3Tracker
from segmenter.backends.sam3.weights.checkpoint import SINGLE, VIDEO_DETECTOR
from segmenter.backends.sam3.weights.hub import locate
from segmenter.backends.sam3.weights.load import TOKENIZER, LoadOptions, load_model
from segmenter.backends.sam3.weights.tracker import MODEL, NECK

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Converted(NamedTuple):
    """What was written.

    Attributes:
        weights: folder to load.
        adapter: folder of the adapter; None if there is none apart.
        tensors: number of them in the weights.
    """

    weights: Path
    adapter: Path | None
    tensors: int


def convert(
    source: str, out: Path, *, dtype: str = "float32", **options: Unpack[LoadOptions]
) -> Converted:
    """Write the weights with configuration and tokenizer, and the adapter unless it is merged.

    Weights with a tracker are written as `Sam3VideoModel`'s, others as `Sam3Model`'s.

    Args:
        source: a path, or a name on the Hugging Face hub, which is then fetched.
        out: folder, new or empty.
        dtype: of the written weights; bfloat16 halves them and rounds.
        options: see `LoadOptions`.

    Raises:
        WeightsError: the folder is not empty, or see `load_model`.
    """
    if out.exists() and any(out.iterdir()):
        raise WeightsError(f"{str(out)!r} is not empty")
    loaded = load_model(locate(source, download=True), **options)
    out.mkdir(parents=True, exist_ok=True)
    adapter = None
    model: Any = loaded.model
    if isinstance(model, PeftModel):
        adapter = sam3_adapter.save(model, out)
        model = model.unload()
    count = write_weights(model, loaded.tracker, loaded.tokenizer, out, dtype=DTYPES[dtype])
    return Converted(out, adapter, count)


def write_weights(
    model: Any,
    tracker: Sam3Tracker | None,
    tokenizer: Tokenizer,
    out: Path,
    *,
    dtype: torch.dtype = torch.float32,
) -> int:
    """Write a model's tensors, configuration and tokenizer, and return the number of tensors.

    Args:
        model: `Sam3Model`, without an adapter.
        tracker: that belongs to it.
        tokenizer: likewise.
        out: folder that is there.
        dtype: of the written tensors.
    """
    whole = model.state_dict() if tracker is None else _with_tracker(model, tracker)
    tensors = {name: value.to("cpu", dtype).contiguous() for name, value in whole.items()}
    save_file(tensors, out / SINGLE, metadata={"format": "pt"})
    _config(model, tracker).save_pretrained(out)
    shutil.copytree(tokenizer.folder, out / TOKENIZER, ignore=_all_but_tokenizer)
    return len(tensors)


def _with_tracker(model: Any, tracker: Sam3Tracker) -> dict[str, Tensor]:
    parts = {VIDEO_DETECTOR: model, MODEL: tracker.model, NECK: tracker.neck}
    # Two names of one tensor would be refused by safetensors.
    return {
        prefix + name: value.clone()
        for prefix, part in parts.items()
        for name, value in part.state_dict().items()
    }


def _config(model: Any, tracker: Sam3Tracker | None) -> Any:
    if tracker is None:
        return model.config
    config, vision = tracker.model.config.to_dict(), model.config.vision_config.backbone_config
    return Sam3VideoConfig(
        detector_config=model.config.to_dict(),
        tracker_config=config,
        low_res_mask_size=4 * vision.image_size // vision.patch_size,
    )


def _all_but_tokenizer(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.startswith("tokenizer")]
