"""Reads SAM 3 weights in every published layout and accounts for each tensor."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import Sam3Config

from segmenter.backends.sam3.errors import WeightsError, listed
from segmenter.backends.sam3.weights.detector_names import (
    DETECTOR,
    TRACKER,
    Target,
    is_left_out,
    split_fused,
    translate,
)

CONFIG = "config.json"
ORIGINAL = "sam3.pt"
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
# Parts of the video model; `Sam3Model` is the detector.
VIDEO_DETECTOR = "detector_model."
VIDEO_PARTS = ("tracker_model.", "tracker_neck.")
# The original's value; transformers' default of 1e-6 moves features by 5e-5.
LAYER_NORM_EPS = 1e-5

Layout = Literal["original", "transformers"]


class Checkpoint(NamedTuple):
    """Weights on disk.

    Attributes:
        layout: how tensors are named.
        files: with the tensors.
        config: `config.json`, or None for the published sizes.
        folder: where the tokenizer is looked for.
    """

    layout: Layout
    files: tuple[Path, ...]
    config: Path | None
    folder: Path


def find_checkpoint(source: Path) -> Checkpoint:
    """Recognise a file or a folder.

    Raises:
        WeightsError: nothing there, or nothing that is known.
    """
    if source.is_file():
        folder = source.parent
        layout: Layout = "transformers" if source.suffix == ".safetensors" else "original"
        return Checkpoint(layout, (source,), _config_of(folder), folder)
    if not source.is_dir():
        raise WeightsError(f"no SAM 3 weights at {str(source)!r}")
    if (source / INDEX).is_file():
        return Checkpoint("transformers", _shards(source), _config_of(source), source)
    for name, layout in ((SINGLE, "transformers"), (ORIGINAL, "original")):
        if (source / name).is_file():
            return Checkpoint(layout, (source / name,), _config_of(source), source)
    raise WeightsError(f"{str(source)!r} holds none of {SINGLE}, {INDEX} and {ORIGINAL}")


def _config_of(folder: Path) -> Path | None:
    path = folder / CONFIG
    return path if path.is_file() else None


def _shards(folder: Path) -> tuple[Path, ...]:
    table = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
    names = sorted(set(table.values()))
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise WeightsError(f"{INDEX} names files that are not there: {listed(missing)}")
    return tuple(folder / name for name in names)


def read_config(path: Path | None) -> Sam3Config:
    """Return the detector's configuration; None for the published sizes.

    Raises:
        WeightsError: the file is of another model.
    """
    stated = {} if path is None else read_json(path)
    kind = stated.get("model_type", "sam3")
    if kind == "sam3_video":
        stated, kind = stated.get("detector_config") or {}, "sam3"
    if kind != "sam3":
        raise WeightsError(f"{CONFIG} is of model type {kind!r}, not of sam3")
    config = Sam3Config(**stated)
    vision: Any = config.vision_config
    vision.backbone_config.layer_norm_eps = LAYER_NORM_EPS
    return config


def read_json(path: Path) -> dict[str, Any]:
    """Return a configuration.

    Raises:
        WeightsError: it is none.
    """
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        stated = None
    if not isinstance(stated, dict):
        raise WeightsError(f"{path.name} is no JSON object")
    return stated


def read_tensors(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Return all tensors under their own names.

    Raises:
        WeightsError: not readable without running code from it, or no table of tensors.
    """
    tensors: dict[str, Tensor] = {}
    for path in checkpoint.files:
        tensors |= load_file(path) if path.suffix == ".safetensors" else _unpickle(path)
    return tensors


def _unpickle(path: Path) -> dict[str, Tensor]:
    # torch raises many kinds of errors for a damaged file.
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        raise WeightsError(f"{path.name} is no torch checkpoint of tensors alone") from error
    table = loaded.get("model", loaded) if isinstance(loaded, Mapping) else None
    if not isinstance(table, Mapping) or not table:
        raise WeightsError(f"{path.name} holds no table of tensors")
    strange = [str(name) for name, value in table.items() if not isinstance(value, Tensor)]
    if strange:
        raise WeightsError(f"{path.name} holds what is no tensor: {listed(strange)}")
    return {str(name): value.detach() for name, value in table.items()}


def to_detector(tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Return the tensors of `Sam3Model` under its names.

    Raises:
        WeightsError: names tensors nobody knows.
    """
    if layout == "transformers":
        return _from_transformers(tensors)
    return _from_original(tensors)


def _from_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    own = {n: value for n, value in tensors.items() if not n.startswith(VIDEO_PARTS)}
    return {name.removeprefix(VIDEO_DETECTOR): value for name, value in own.items()}


def _from_original(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    unknown = []
    for full, tensor in tensors.items():
        name = full.removeprefix(DETECTOR)
        if full.startswith(TRACKER) or is_left_out(name):
            continue
        parts = split_fused(name)
        targets = [translate(part) for part in parts]
        if any(target is None for target in targets):
            unknown.append(full)
            continue
        for target, rows in zip(targets, tensor.chunk(len(parts)), strict=True):
            assert target is not None
            if not target.name.startswith(VIDEO_PARTS):
                found[target.name] = _moved(rows, target)
    if unknown:
        raise WeightsError(f"tensors that are not of SAM 3: {listed(unknown)}")
    return found


def _moved(tensor: Tensor, target: Target) -> Tensor:
    if target.transposed:
        return tensor.t().contiguous()
    if target.first_row_dropped:
        return tensor[:, 1:].contiguous()
    return tensor.contiguous()


def check_tensors(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are not exactly those of the model.

    Args:
        found: in the model's names.
        wanted: the model's own, for their shapes; may be on the meta device.

    Raises:
        WeightsError: names what is missing, unexpected or of another shape.
    """
    faults = {
        "missing tensors": wanted.keys() - found.keys(),
        "unexpected tensors": found.keys() - wanted.keys(),
        "tensors of another shape": {
            name for name in wanted.keys() & found.keys() if wanted[name].shape != found[name].shape
        },
    }
    complaints = [f"{what}: {listed(names)}" for what, names in faults.items() if names]
    if complaints:
        raise WeightsError("; ".join(complaints))


def sha256_of(files: Iterable[Path]) -> str:
    """Return one digest of the contents of files, in their order, as hexadecimal digits."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            hashlib.file_digest(stream, lambda: digest)
    return digest.hexdigest()
