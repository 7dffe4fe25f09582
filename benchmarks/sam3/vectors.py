"""Sets a loaded network's answers beside those that the original code recorded."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from segmenter.backends.sam3.errors import WeightsError
from segmenter.backends.sam3.network import Detections, DetectorPrompt, Sam3Network

OUTPUTS = ("logits", "presence", "boxes", "masks", "semantic")


def differences(
    network: Sam3Network, cases: Path, *, adapter: str | None = None
) -> dict[str, float]:
    """Return the largest absolute difference of each output over all recorded prompts.

    Args:
        network: in float32.
        cases: file of tensors: ``pixels`` float32 (1, 3, S, S) in [-1, 1] and ``cases``, each with
            ``text``, ``boxes`` (cxcywh, [0, 1]), ``labels`` (1 or 0) and ``expected``; what has no
            ``text`` is passed over.
        adapter: of the network's; None for the usual one.

    Raises:
        WeightsError: the file holds no prompt.
    """
    recorded = torch.load(cases, map_location="cpu", weights_only=True)
    prompts = [case for case in recorded["cases"] if "text" in case]
    if not prompts:
        raise WeightsError(f"{cases.name} holds no recorded prompt")
    features = network.features(network.encode(recorded["pixels"], adapter=adapter))
    worst = dict.fromkeys(OUTPUTS, 0.0)
    for case in prompts:
        found = network.detect(features, [to_question(case)], adapter=adapter)
        for name, own, other in _pairs(found, case["expected"]):
            worst[name] = max(worst[name], float((own.cpu() - other).abs().max()))
    return worst


def to_question(case: Mapping[str, Any]) -> DetectorPrompt:
    """Return the prompt of a case."""
    boxes = tuple((float(b[0]), float(b[1]), float(b[2]), float(b[3])) for b in case["boxes"])
    return DetectorPrompt(case["text"], boxes, tuple(bool(label) for label in case["labels"]))


def _pairs(
    found: Detections, expected: Mapping[str, Tensor]
) -> Iterator[tuple[str, Tensor, Tensor]]:
    yield "logits", found.logits, expected["pred_logits"][..., 0]
    yield "presence", found.presence, expected["presence_logit_dec"][:, 0]
    yield "boxes", found.boxes, expected["pred_boxes_xyxy"]
    yield "masks", found.masks, expected["pred_masks"]
    yield "semantic", found.semantic, expected["semantic_seg"][:, 0]
