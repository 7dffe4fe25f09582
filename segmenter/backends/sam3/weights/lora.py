"""MedSAM-3's LoRA file: read, checked against the model, attached as an adapter.

The file holds ``<module>.lora.lora_A`` (in, r) and ``<module>.lora.lora_B`` (r, out) under the
original module names; the weight changes by alpha / r * (A B)^T. What it does not hold is alpha.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from peft import LoraConfig, PeftModel
from torch import Tensor, nn

from segmenter.backends.sam3.adapter import ADAPTER, wrap
from segmenter.backends.sam3.errors import WeightsError, listed
from segmenter.backends.sam3.weights.detector_names import (
    DETECTOR,
    is_left_out,
    split_fused,
    translate,
)

_ENDS = {".lora.lora_A": "A", ".lora.lora_B": "B"}
_NUMBER = re.compile(r"\.\d+\.")


class Delta(NamedTuple):
    """Change of one weight.

    Attributes:
        down: float, shape (r, in).
        up: float, shape (out, r).
    """

    down: Tensor
    up: Tensor


class Lora(NamedTuple):
    """A file, in the model's names.

    Attributes:
        deltas: by the module's name in `Sam3Model`.
        rank: of all of them.
        alpha: the change is alpha / rank * up @ down.
        left_out: original names of modules that `Sam3Model` does not have.
    """

    deltas: dict[str, Delta]
    rank: int
    alpha: float
    left_out: tuple[str, ...]


def read_lora(
    path: Path, model: nn.Module, *, config: Path | None = None, alpha: float | None = None
) -> Lora:
    """Read a file and fit it to a model.

    Args:
        path: of MedSAM-3's ``*_lora_weights.pt``.
        model: `Sam3Model`, without adapters.
        config: MedSAM-3's YAML, for alpha, and for the rank to check.
        alpha: instead of the YAML's.

    Raises:
        WeightsError: names what is missing, left over, or of a wrong shape or rank; or neither
            the YAML nor the caller tells alpha.
    """
    pairs = _pairs(torch.load(path, map_location="cpu", weights_only=True))
    stated = _read_config(config) if config is not None else {}
    rank = _rank(pairs, stated.get("rank"))
    alpha = alpha if alpha is not None else stated.get("alpha")
    if alpha is None:
        raise WeightsError("the LoRA file does not tell alpha: give its YAML or alpha itself")
    left_out = tuple(name for name in pairs if is_left_out(name + "."))
    kept = {name: pair for name, pair in pairs.items() if name not in left_out}
    deltas = dict(_fitted(kept, _linears(model)))
    _refuse_gaps(deltas, _linears(model))
    return Lora(deltas, rank, float(alpha), left_out)


def attach(model: nn.Module, lora: Lora) -> PeftModel:
    """Attach the changes as an adapter named ``medsam3`` that can be switched off."""
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # it divides, and a YAML may say 32.0
        target_modules=list(lora.deltas),
    )
    wrapped = wrap(model, config)
    modules = dict(model.named_modules())
    assert {name for name in modules if hasattr(modules[name], "lora_A")} == lora.deltas.keys()
    with torch.no_grad():
        for name, delta in lora.deltas.items():
            layer: Any = modules[name]
            layer.lora_A[ADAPTER].weight.copy_(delta.down)
            layer.lora_B[ADAPTER].weight.copy_(delta.up)
    wrapped.requires_grad_(False)
    return wrapped


def _pairs(loaded: object) -> dict[str, dict[str, Tensor]]:
    if not isinstance(loaded, Mapping) or not loaded:
        raise WeightsError("the LoRA file holds no table of tensors")
    pairs: dict[str, dict[str, Tensor]] = {}
    for key, value in loaded.items():
        end = next((end for end in _ENDS if str(key).endswith(end)), None)
        if end is None or not isinstance(value, Tensor) or value.ndim != 2:
            raise WeightsError(f"the LoRA file holds {key!r}, which is no lora_A or lora_B matrix")
        module = str(key).removesuffix(end).removeprefix(DETECTOR)
        pairs.setdefault(module, {})[_ENDS[end]] = value.detach()
    alone = [name for name, pair in pairs.items() if len(pair) != len(_ENDS)]
    if alone:
        raise WeightsError(f"LoRA modules with only one of lora_A and lora_B: {listed(alone)}")
    return pairs


def _read_config(path: Path) -> dict[str, Any]:
    try:
        stated = yaml.safe_load(path.read_text(encoding="utf-8"))["lora"]
        return {"rank": int(stated["rank"]), "alpha": float(stated["alpha"])}
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise WeightsError(f"{path.name} has no lora.rank and lora.alpha") from error


def _rank(pairs: Mapping[str, Mapping[str, Tensor]], stated: int | None) -> int:
    ranks = {name: (pair["A"].shape[1], pair["B"].shape[0]) for name, pair in pairs.items()}
    rank = stated if stated is not None else next(iter(ranks.values()))[0]
    wrong = [name for name, found in ranks.items() if found != (rank, rank)]
    if wrong:
        source = "its YAML says" if stated is not None else "its first module has"
        raise WeightsError(f"LoRA modules not of rank {rank}, which {source}: {listed(wrong)}")
    return rank


def _fitted(
    pairs: Mapping[str, Mapping[str, Tensor]], linears: Mapping[str, nn.Linear]
) -> Iterator[tuple[str, Delta]]:
    unknown, misshapen = [], []
    for name, pair in pairs.items():
        parts = split_fused(name)
        ups = pair["B"].t().chunk(len(parts))
        for part, up in zip(parts, ups, strict=True):
            target = translate(part)
            linear = None if target is None else linears.get(target.name)
            if target is None or linear is None:
                unknown.append(name)
            elif linear.weight.shape != (up.shape[0], pair["A"].shape[0]):
                misshapen.append(name)
            else:
                yield target.name, Delta(pair["A"].t(), up)
    if unknown:
        raise WeightsError(f"LoRA modules the model does not have: {listed(unknown)}")
    if misshapen:
        raise WeightsError(f"LoRA modules of another shape than the model's: {listed(misshapen)}")


def _refuse_gaps(deltas: Mapping[str, Delta], linears: Mapping[str, nn.Linear]) -> None:
    """Refuse a file that changes a module in some layers and lacks it in others."""
    kinds = {_NUMBER.sub(".N.", name) for name in deltas}
    gaps = [n for n in linears if _NUMBER.sub(".N.", n) in kinds and n not in deltas]
    if gaps:
        raise WeightsError(
            f"the LoRA file lacks modules that it has in other layers: {listed(gaps)}"
        )


def _linears(model: nn.Module) -> dict[str, nn.Linear]:
    return {name: each for name, each in model.named_modules() if isinstance(each, nn.Linear)}
