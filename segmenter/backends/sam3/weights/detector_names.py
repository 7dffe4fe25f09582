"""Names of SAM 3's tensors: from facebookresearch/sam3 to transformers. Pure, no torch.

Fused attention weights are three equal blocks of rows: q, k, v. Before a name is translated they
are split, so every name here is of one projection.

Source: both code bases, compared module by module; proven on recorded outputs of the original.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

DETECTOR = "detector."
TRACKER = "tracker."
FUSED = (
    (re.compile(r"(.*\.attn)\.qkv(\.weight|\.bias)?$"), r"\1.{}_proj\2"),
    (re.compile(r"(.*)\.in_proj_(weight|bias)$"), r"\1.{}_proj.\2"),
)
PARTS = ("q", "k", "v")
# Computed anew, or of prompts that `Sam3Model` does not take.
LEFT_OUT = re.compile(r".*\.freqs_cis$|geometry_encoder\.points_\w+_project(\.|$)")
SECOND_NECK = "backbone.vision_backbone.sam2_convs."

_Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]


class Target(NamedTuple):
    """Where a tensor goes.

    Attributes:
        name: in transformers' layout.
        transposed: whether rows and columns change places.
        first_row_dropped: whether the first of the rows (of the class token) is left out.
    """

    name: str
    transposed: bool = False
    first_row_dropped: bool = False


def split_fused(name: str) -> tuple[str, ...]:
    """Return the names of q, k and v in a fused tensor's or module's name; else the name."""
    for pattern, shape in FUSED:
        hit = pattern.match(name)
        if hit:
            return tuple(hit.expand(shape.format(part)) for part in PARTS)
    return (name,)


def is_left_out(name: str) -> bool:
    """Tell whether `Sam3Model` has no place for a tensor or module of the detector, rightly."""
    return LEFT_OUT.match(name) is not None


def translate(name: str) -> Target | None:
    """Return where a tensor of the detector goes; None for a name that is not known.

    Args:
        name: original, without ``detector.``, not fused. A module's name works as well.
    """
    for home, (new_home, rules) in _HOMES.items():
        if name.startswith(home):
            return _target(new_home + _renamed(name.removeprefix(home), rules))
    return None


def _target(name: str) -> Target:
    return Target(
        name,
        transposed=name == "text_encoder.text_projection.weight",
        first_row_dropped=name.endswith("embeddings.position_embeddings"),
    )


def _renamed(rest: str, rules: tuple[_Rule, ...]) -> str:
    for pattern, new in rules:
        rest = pattern.sub(new, rest)
    return rest


def _rule(pattern: str, new: str | Callable[[re.Match[str]], str]) -> _Rule:
    return re.compile(pattern), new


def _counted_from_1(hit: re.Match[str]) -> str:
    return f".layer{int(hit[1]) + 1}"


_OUTPUT = _rule(r"(attn\w*|ca_text|cross_attn_image|prompt)\.out_proj\b", r"\1.o_proj")
_HIDDEN = _rule(r"\blinear([12])\b", r"mlp.fc\1")
_NORMS = _rule(r"\bnorm([123])\b", r"layer_norm\1")
_MLP = _rule(r"\.layers\.(\d+)", _counted_from_1)
_IMAGE = _rule(r"\bcross_attn_image\b", "cross_attn")
_NECK = (
    _rule(r"\bdconv_2x2(_0)?\b", "scale_layers.0"),
    _rule(r"\bdconv_2x2_1\b", "scale_layers.2"),
    _rule(r"\bconv_1x1\b", "proj1"),
    _rule(r"\bconv_3x3\b", "proj2"),
)
_TRUNK = (
    _rule(r"^pos_embed$", "embeddings.position_embeddings"),
    _rule(r"^patch_embed\.proj\b", "embeddings.patch_embeddings.projection"),
    _rule(r"^ln_pre\b", "layer_norm"),
    _rule(r"^blocks\b", "layers"),
    _NORMS,
    _rule(r"\battn\.proj\b", "attention.o_proj"),
    _rule(r"\battn\.([qkv])_proj\b", r"attention.\1_proj"),
)
_TEXT = (
    _rule(r"^positional_embedding$", "text_model.embeddings.position_embedding.weight"),
    _rule(r"^text_projection$", "text_projection.weight"),
    _rule(r"^token_embedding\b", "text_model.embeddings.token_embedding"),
    _rule(r"^transformer\.resblocks\b", "text_model.encoder.layers"),
    _rule(r"^ln_final\b", "text_model.final_layer_norm"),
    _rule(r"\bln_([12])\b", r"layer_norm\1"),
    _rule(r"\.attn\.", ".self_attn."),
    _rule(r"\bc_fc\b", "fc1"),
    _rule(r"\bc_proj\b", "fc2"),
)
_GEOMETRY = (
    _OUTPUT,
    _HIDDEN,
    _NORMS,
    _IMAGE,
    _rule(r"^encode\.", "layers."),
    _rule(r"^encode_norm\b", "output_layer_norm"),
    _rule(r"^img_pre_norm\b", "vision_layer_norm"),
    _rule(r"^norm\b", "prompt_layer_norm"),
)
_DECODER = (
    _OUTPUT,
    _HIDDEN,
    _rule(r"\.norm1\b", ".vision_cross_attn_layer_norm"),
    _rule(r"\.norm2\b", ".self_attn_layer_norm"),
    _rule(r"\.norm3\b", ".mlp_layer_norm"),
    _rule(r"\.catext_norm\b", ".text_cross_attn_layer_norm"),
    _rule(r"\.cross_attn\.", ".vision_cross_attn."),
    _rule(r"\.ca_text\.", ".text_cross_attn."),
    _rule(r"^norm\b", "output_layer_norm"),
    _rule(
        r"^(bbox_embed|boxRPB_embed_[xy]|presence_token_head|ref_point_head)\.layers\.(\d+)",
        lambda hit: f"{hit[1]}.layer{int(hit[2]) + 1}",
    ),
    _rule(r"^bbox_embed\b", "box_head"),
    _rule(r"^boxRPB_embed_", "box_rpb_embed_"),
    _rule(r"^presence_token_head\b", "presence_head"),
    _rule(r"^presence_token_out_norm\b", "presence_layer_norm"),
)
_MASKS = (
    _OUTPUT,
    _rule(r"^mask_predictor\.mask_embed\b", "mask_embedder"),
    _rule(r"^cross_attend_prompt\b", "prompt_cross_attn"),
    _rule(r"^cross_attn_norm\b", "prompt_cross_attn_norm"),
    _rule(r"^semantic_seg_head\b", "semantic_projection"),
    _rule(r"^instance_seg_head\b", "instance_projection"),
)
_SCORING = (
    _MLP,
    _rule(r"^prompt_mlp\.out_norm\b", "text_mlp_out_norm"),
    _rule(r"^prompt_mlp\b", "text_mlp"),
    _rule(r"^prompt_proj\b", "text_proj"),
    _rule(r"^hs_proj\b", "query_proj"),
)
_HOMES: dict[str, tuple[str, tuple[_Rule, ...]]] = {
    "backbone.vision_backbone.trunk.": ("vision_encoder.backbone.", _TRUNK),
    "backbone.vision_backbone.convs.": ("vision_encoder.neck.fpn_layers.", _NECK),
    SECOND_NECK: ("tracker_neck.fpn_layers.", _NECK),
    "backbone.language_backbone.encoder.": ("text_encoder.", _TEXT),
    "backbone.language_backbone.resizer": ("text_projection", ()),
    "geometry_encoder.": ("geometry_encoder.", _GEOMETRY),
    "transformer.encoder.": ("detr_encoder.", (_OUTPUT, _HIDDEN, _NORMS, _IMAGE)),
    "transformer.decoder.": ("detr_decoder.", _DECODER),
    "segmentation_head.": ("mask_decoder.", _MASKS),
    "dot_prod_scoring.": ("dot_product_scoring.", _SCORING),
}
