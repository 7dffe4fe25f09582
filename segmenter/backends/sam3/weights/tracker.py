"""The tracker's weights and sizes: whole, or not there at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Sam3Config, Sam3TrackerVideoModel
from transformers.models.sam3.modeling_sam3 import Sam3VisionNeck
from transformers.models.sam3_tracker_video.configuration_sam3_tracker_video import (
    Sam3TrackerVideoConfig,
)

from segmenter.backends.sam3.errors import WeightsError, listed
from segmenter.backends.sam3.tracker import Sam3Tracker
from segmenter.backends.sam3.weights.checkpoint import Layout, check_tensors, read_json
from segmenter.backends.sam3.weights.detector_names import (
    DETECTOR,
    SECOND_NECK,
    TRACKER,
    split_fused,
)
from segmenter.backends.sam3.weights.detector_names import translate as translate_detector
from segmenter.backends.sam3.weights.tracker_names import translate

MODEL, NECK = "tracker_model.", "tracker_neck."
# `save_pretrained` of transformers 5.23 writes the prefix twice (reference/sam3.md, gotcha 7).
TWICE = MODEL + MODEL


def to_tracker(tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Return the tensors of tracker and second neck under transformers' names; none if no tracker.

    Raises:
        WeightsError: names tensors nobody knows.
    """
    if layout == "original":
        return _from_original(tensors)
    own = {n.replace(TWICE, MODEL): v for n, v in tensors.items() if n.startswith((MODEL, NECK))}
    return own if any(name.startswith(MODEL) for name in own) else {}


def _from_original(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    mine = {n.removeprefix(TRACKER): v for n, v in tensors.items() if n.startswith(TRACKER)}
    if not mine:
        return {}
    places = {name: translate(name) for name in mine}
    unknown = [TRACKER + name for name, place in places.items() if place is None]
    if unknown:
        raise WeightsError(f"tensors that are not of SAM 3's tracker: {listed(unknown)}")
    found: dict[str, Tensor] = {}
    rows: dict[str, dict[int, Tensor]] = {}
    for name, place in places.items():
        assert place is not None
        for target in place.names:
            if place.row is None:
                found[MODEL + target] = mine[name].contiguous()
            else:
                rows.setdefault(MODEL + target, {})[place.row] = mine[name]
    found |= {
        name: torch.cat([table[row] for row in sorted(table)]) for name, table in rows.items()
    }
    return found | _second_neck(tensors)


def _second_neck(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found = {}
    for full, tensor in tensors.items():
        name = full.removeprefix(DETECTOR)
        if name.startswith(SECOND_NECK):
            target = translate_detector(split_fused(name)[0])
            assert target is not None
            found[target.name] = tensor.contiguous()
    return found


def build_tracker(config: Sam3Config, path: Path | None, tensors: dict[str, Tensor]) -> Sam3Tracker:
    """Make the tracker of these very tensors, in float32 on the CPU.

    Args:
        config: of the detector.
        path: `config.json`, or None.
        tensors: of `to_tracker`, not empty.

    Raises:
        WeightsError: missing, unexpected or misshapen tensors, named.
    """
    sizes = tracker_config(config, path, tensors)
    kind: Any = Sam3TrackerVideoModel
    vision: Any = config.vision_config
    with torch.device("meta"):
        model: Any = kind(sizes, remove_vision_encoder=True)
        neck: Any = Sam3VisionNeck(vision)
    wanted = {MODEL + name: value for name, value in model.state_dict().items()}
    wanted |= {NECK + name: value for name, value in neck.state_dict().items()}
    check_tensors(tensors, wanted)
    # Their non-persistent buffers are computed when a module is made, so it is made again here.
    model, neck = kind(sizes, remove_vision_encoder=True), Sam3VisionNeck(vision)
    for part, prefix in ((model, MODEL), (neck, NECK)):
        own = {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}
        part.load_state_dict(own, strict=True, assign=True)
        part.float().eval().requires_grad_(False)
    return Sam3Tracker(model, neck)


def tracker_config(
    config: Sam3Config, path: Path | None, tensors: Mapping[str, Tensor]
) -> Sam3TrackerVideoConfig:
    """Return the tracker's sizes: those of `config.json`, else as the tensors are.

    Heads and rules are the published ones; no tensor shows them.
    """
    stated = {} if path is None else read_json(path).get("tracker_config")
    if stated:
        return Sam3TrackerVideoConfig(**stated)
    vision: Any = config.vision_config
    backbone = vision.backbone_config
    side, patch = int(backbone.image_size), int(backbone.patch_size)
    grid, width = side // patch, int(vision.fpn_hidden_size)
    make: Any = Sam3TrackerVideoConfig
    shapes = {name.removeprefix(MODEL): tuple(value.shape) for name, value in tensors.items()}
    sizes: Sam3TrackerVideoConfig = make(
        vision_config=vision.to_dict()
        | {"backbone_feature_sizes": [[grid * times] * 2 for times in (4, 2, 1)]},
        prompt_encoder_config={"hidden_size": width, "image_size": side, "patch_size": patch},
        mask_decoder_config={
            "hidden_size": width,
            "mlp_dim": _first(shapes, "mask_decoder.transformer.layers.0.mlp.proj_in.weight", 2048),
            "iou_head_hidden_dim": _first(
                shapes, "mask_decoder.iou_prediction_head.proj_in.weight", 256
            ),
        },
        image_size=side,
        num_maskmem=_first(shapes, "memory_temporal_positional_encoding", 7),
        memory_attention_hidden_size=width,
        memory_attention_num_layers=_layers(shapes, "memory_attention.layers."),
        memory_attention_feed_forward_hidden_size=_first(
            shapes, "memory_attention.layers.0.linear1.weight", 2048
        ),
        memory_attention_rope_feat_sizes=[grid, grid],
        memory_encoder_hidden_size=width,
        memory_encoder_output_channels=_first(shapes, "memory_encoder.projection.bias", 64),
        mask_downsampler_embed_dim=width,
        memory_fuser_num_layers=_layers(shapes, "memory_encoder.memory_fuser.layers."),
        memory_fuser_embed_dim=width,
        memory_fuser_intermediate_dim=_first(
            shapes, "memory_encoder.memory_fuser.layers.0.pointwise_conv1.bias", 1024
        ),
    )
    return sizes


def _first(shapes: Mapping[str, tuple[int, ...]], name: str, published: int) -> int:
    return shapes[name][0] if shapes.get(name) else published


def _layers(shapes: Mapping[str, tuple[int, ...]], prefix: str) -> int:
    own = {name.removeprefix(prefix).split(".")[0] for name in shapes if name.startswith(prefix)}
    return len(own)
