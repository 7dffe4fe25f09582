"""The tracker's tensors as the original names them, and a tiny random checkpoint that has them."""

import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import Sam3TrackerVideoModel, Sam3VideoConfig, Sam3VideoModel

from segmenter.backends.sam3.weights.checkpoint import read_config
from segmenter.backends.sam3.weights.tracker import tracker_config
from segmenter.backends.sam3.weights.tracker_names import POINT_TABLE, translate
from tests.segmenter.backends.sam3.vectors import TINY

PARTS = ("weight", "bias")
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj")
TOKENS = ("iou_token", "mask_tokens", "obj_score_token")
# Width of the tiny model's pyramid.
WIDTH = 64
WIDE = 128


def original_names(*, memory_layers: int = 4, fuser_layers: int = 2) -> set[str]:
    """Written down from the modules of facebookresearch/sam3, not from our tables."""
    modules = [
        "mask_downsample",
        "obj_ptr_tpos_proj",
        *(f"obj_ptr_proj.layers.{layer}" for layer in range(3)),
        *(f"sam_prompt_encoder.mask_downscaling.{place}" for place in (0, 1, 3, 4, 6)),
        *(f"sam_mask_decoder.{each}" for each in _decoder()),
        *(f"transformer.encoder.{each}" for each in _attention(memory_layers)),
        *(f"maskmem_backbone.{each}" for each in _memory(fuser_layers)),
    ]
    alone = {
        "maskmem_tpos_enc",
        "no_mem_embed",
        "no_mem_pos_enc",
        "no_obj_ptr",
        "no_obj_embed_spatial",
        "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
        "sam_prompt_encoder.not_a_point_embed.weight",
        "sam_prompt_encoder.no_mask_embed.weight",
        *(f"sam_prompt_encoder.point_embeddings.{row}.weight" for row in range(4)),
        *(f"sam_mask_decoder.{each}.weight" for each in TOKENS),
        *(f"maskmem_backbone.fuser.layers.{layer}.gamma" for layer in range(fuser_layers)),
    }
    return alone | {f"{module}.{part}" for module in modules for part in PARTS}


def _decoder() -> Iterator[str]:
    for layer in range(2):
        home = f"transformer.layers.{layer}"
        for attention in ("self_attn", "cross_attn_token_to_image", "cross_attn_image_to_token"):
            yield from (f"{home}.{attention}.{each}" for each in PROJECTIONS)
        yield from (f"{home}.norm{number}" for number in range(1, 5))
        yield from (f"{home}.mlp.lin1", f"{home}.mlp.lin2")
    yield from (f"transformer.final_attn_token_to_image.{each}" for each in PROJECTIONS)
    yield from ("transformer.norm_final_attn", "conv_s0", "conv_s1")
    yield from (f"output_upscaling.{place}" for place in (0, 1, 3))
    hyper = [f"output_hypernetworks_mlps.{number}" for number in range(4)]
    for head in ("iou_prediction_head", "pred_obj_score_head", *hyper):
        yield from (f"{head}.layers.{layer}" for layer in range(3))


def _attention(layers: int) -> Iterator[str]:
    for layer in range(layers):
        for attention in ("self_attn", "cross_attn_image"):
            yield from (f"layers.{layer}.{attention}.{each}" for each in PROJECTIONS)
        yield from (f"layers.{layer}.{each}" for each in ("linear1", "linear2"))
        yield from (f"layers.{layer}.norm{number}" for number in range(1, 4))
    yield "norm"


def _memory(layers: int) -> Iterator[str]:
    places = (0, 1, 3, 4, 6, 7, 9, 10, 12)
    yield from (f"mask_downsampler.encoder.{place}" for place in places)
    yield from ("pix_feat_proj", "out_proj")
    for layer in range(layers):
        parts = ("dwconv", "norm", "pwconv1", "pwconv2")
        yield from (f"fuser.layers.{layer}.{each}" for each in parts)


def tiny_checkpoint(folder: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    """Write the tiny original checkpoint with a random tracker of these shapes and names.

    It believes in an object whatever it is shown.
    """
    loaded = torch.load(TINY / "sam3.pt", weights_only=True)
    tensors: dict[str, Tensor] = dict(loaded.get("model", loaded))
    generator = torch.Generator().manual_seed(11)
    for name, shape in sorted(shapes.items()):
        tensors[f"tracker.{name}"] = torch.randn(shape, generator=generator) * 0.1
    tensors["tracker.sam_mask_decoder.pred_obj_score_head.layers.2.bias"] += 2.0
    torch.save({"model": tensors}, folder / "sam3.pt")
    return folder


def tiny_shapes() -> dict[str, tuple[int, ...]]:
    """Return the shapes of a tracker that fits the tiny detector, by original name."""

    small = {
        "tracker_model.mask_decoder.transformer.layers.0.mlp.proj_in.weight": (96, WIDTH),
        "tracker_model.mask_decoder.iou_prediction_head.proj_in.weight": (48, WIDTH),
        "tracker_model.memory_temporal_positional_encoding": (7, 1, 1, 64),
        "tracker_model.memory_attention.layers.0.linear1.weight": (80, WIDTH),
        "tracker_model.memory_attention.layers.1.linear1.weight": (80, WIDTH),
        "tracker_model.memory_encoder.projection.bias": (64,),
        "tracker_model.memory_encoder.memory_fuser.layers.0.pointwise_conv1.bias": (72,),
    }
    like = {name: torch.zeros(shape) for name, shape in small.items()}
    config = tracker_config(read_config(TINY / "config.json"), None, like)
    with torch.device("meta"):
        state = Sam3TrackerVideoModel(config, remove_vision_encoder=True).state_dict()
    shapes = {}
    for name in original_names(memory_layers=2, fuser_layers=1):
        place = translate(name)
        assert place is not None, name
        shape = tuple(state[place.names[0]].shape)
        shapes[name] = (1, *shape[1:]) if place.names[0] == POINT_TABLE else shape
    return shapes


def wide_weights(folder: Path) -> Path:
    """Write a random video model in transformers' layout, twice as wide as the tiny one.

    Width must differ from the 64 channels of memory, which transformers has built in.
    """
    told = json.loads((TINY / "config.json").read_text(encoding="utf-8"))
    for part in ("detr_decoder", "detr_encoder", "geometry_encoder", "mask_decoder"):
        told[f"{part}_config"]["hidden_size"] = WIDE
    told["vision_config"]["fpn_hidden_size"] = WIDE
    config = read_config(TINY / "config.json").__class__(**told)
    like = {"tracker_model.memory_temporal_positional_encoding": torch.zeros(7, 1, 1, 64)}
    like |= {
        f"tracker_model.memory_attention.layers.{n}.linear1.weight": torch.zeros(80, WIDE)
        for n in range(2)
    }
    like["tracker_model.memory_encoder.memory_fuser.layers.0.pointwise_conv1.bias"] = torch.zeros(
        72
    )
    torch.manual_seed(7)
    model = Sam3VideoModel(
        Sam3VideoConfig(
            detector_config=config.to_dict(),
            tracker_config=tracker_config(config, None, like).to_dict(),
            low_res_mask_size=48,
        )
    )
    state = model.state_dict()
    for value in state.values():
        # What is made small or as zeros would hide what reads it.
        if value.dim() > 1:
            value.normal_(std=value[0].numel() ** -0.5)
    state["tracker_model.mask_decoder.pred_obj_score_head.proj_out.bias"] += 2.0
    save_file({name: value.clone() for name, value in state.items()}, folder / "model.safetensors")
    model.config.save_pretrained(folder)
    return folder
