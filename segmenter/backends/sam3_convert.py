"""Writes weights in transformers' layout as safetensors: readable by everybody, no pickle."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import PeftModel
from safetensors.torch import save_file

from segmenter.backends import sam3_adapter
from segmenter.backends.sam3_checkpoint import SINGLE
from segmenter.backends.sam3_errors import WeightsError
from segmenter.backends.sam3_hub import locate
from segmenter.backends.sam3_load import TOKENIZER, load_model

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
    source: str,
    out: Path,
    *,
    lora: Path | None = None,
    lora_config: Path | None = None,
    alpha: float | None = None,
    merged: bool = False,
    dtype: str = "float32",
) -> Converted:
    """Write `Sam3Model`'s weights, its configuration and tokenizer, and the adapter.

    Args:
        source: a path, or a name on the Hugging Face hub, which is then fetched.
        out: folder, new or empty.
        lora: see `load_model`.
        lora_config: see `load_model`.
        alpha: see `load_model`.
        merged: write the merged weights, and no adapter.
        dtype: of the written weights; bfloat16 halves them and rounds.

    Raises:
        WeightsError: the folder is not empty, or see `load_model`.
    """
    if out.exists() and any(out.iterdir()):
        raise WeightsError(f"{str(out)!r} is not empty")
    loaded = load_model(
        locate(source, download=True),
        lora=lora,
        lora_config=lora_config,
        alpha=alpha,
        merged=merged,
        tokenizer=None,
    )
    out.mkdir(parents=True, exist_ok=True)
    adapter = None
    model: Any = loaded.model
    if isinstance(model, PeftModel):
        adapter = sam3_adapter.save(model, out)
        model = model.unload()
    tensors = {n: t.to(DTYPES[dtype]).contiguous() for n, t in model.state_dict().items()}
    save_file(tensors, out / SINGLE, metadata={"format": "pt"})
    model.config.save_pretrained(out)
    shutil.copytree(loaded.tokenizer.folder, out / TOKENIZER, ignore=_all_but_tokenizer)
    return Converted(out, adapter, len(tensors))


def _all_but_tokenizer(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.startswith("tokenizer")]
