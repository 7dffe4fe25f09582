"""LoRA adapters in PEFT's own folders: what fine-tuning and converting write."""

import warnings
from pathlib import Path
from typing import Any

from peft import (
    LoraConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from segmenter.backends.sam3.errors import WeightsError, listed

ADAPTER = "medsam3"
CONFIG = "adapter_config.json"
TENSORS = "adapter_model.safetensors"


def adapter_files(folder: Path) -> tuple[Path, ...]:
    """Return the files of an adapter's folder.

    Raises:
        WeightsError: one of them is not there.
    """
    files = (folder / CONFIG, folder / TENSORS)
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise WeightsError(f"the adapter folder {folder.name!r} lacks {listed(missing)}")
    return files


def wrap(model: nn.Module, config: LoraConfig) -> PeftModel:
    """Put an empty adapter named ``medsam3`` around the model; its weights stay frozen."""
    with warnings.catch_warnings():
        # peft asks the model for a property that transformers renames.
        warnings.simplefilter("ignore", FutureWarning)
        return get_peft_model(model, config, adapter_name=ADAPTER)


def attach_folder(model: nn.Module, folder: Path) -> PeftModel:
    """Attach an adapter that PEFT saved.

    Raises:
        WeightsError: not readable, or its tensors are not exactly those of its configuration.
    """
    _, tensors = adapter_files(folder)
    try:
        config: Any = LoraConfig.from_pretrained(str(folder))
        wrapped = wrap(model, config)
        loaded = load_file(tensors)
    except (ValueError, TypeError, KeyError, SafetensorError) as error:
        raise WeightsError(f"{folder.name!r} is no LoRA adapter for this model") from error
    report: Any = set_peft_model_state_dict(wrapped, loaded, adapter_name=ADAPTER)
    missing = [name for name in report.missing_keys if "lora_" in name]
    if missing or report.unexpected_keys:
        raise WeightsError(
            f"the adapter lacks {listed(missing) or 'nothing'}"
            f" and has {listed(report.unexpected_keys) or 'nothing'} left over"
        )
    wrapped.requires_grad_(False)
    return wrapped


def save(wrapped: PeftModel, folder: Path) -> Path:
    """Write the adapter into ``medsam3`` in a folder, as PEFT lays it out, and return that."""
    out = folder / ADAPTER
    out.mkdir(parents=True, exist_ok=True)
    tensors = get_peft_model_state_dict(wrapped, adapter_name=ADAPTER, save_embedding_layers=False)
    save_file({name: each.contiguous() for name, each in tensors.items()}, out / TENSORS)
    wrapped.peft_config[ADAPTER].save_pretrained(str(out))
    return out
