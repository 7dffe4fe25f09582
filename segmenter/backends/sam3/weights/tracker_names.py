"""Names of the tracker's tensors: from facebookresearch/sam3 to transformers. Pure, no torch.

Source: both code bases' module names, as those of SAM 2, whose tracker it is; that nothing is left
over is checked against the number of tensors in the published checkpoint.
"""

import re
from typing import NamedTuple

POINTS = re.compile(r"sam_prompt_encoder\.point_embeddings\.(\d)\.weight$")
POINT_TABLE = "prompt_encoder.point_embed.weight"
GAUSSIAN = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
GAUSSIAN_COPIES = (
    "prompt_encoder.shared_embedding.positional_embedding",
    "shared_image_embedding.positional_embedding",
)


class Place(NamedTuple):
    """Where a tensor goes.

    Attributes:
        names: in transformers' layout; the same values at each.
        row: of a table whose rows are tensors of their own in the original; None for a whole one.
    """

    names: tuple[str, ...]
    row: int | None = None


def translate(name: str) -> Place | None:
    """Return where a tensor of the tracker goes, without ``tracker.``; None for an unknown one."""
    if name == GAUSSIAN:
        return Place(GAUSSIAN_COPIES)
    point = POINTS.match(name)
    if point:
        return Place((POINT_TABLE,), int(point[1]))
    for home, new_home, rules in _HOMES:
        if name.startswith(home):
            rest = name.removeprefix(home)
            for pattern, new in rules:
                rest = re.sub(pattern, new, rest)
            return Place((new_home + rest,))
    return None


_Rules = tuple[tuple[str, str], ...]

# Three layers, or two: the first, those between, the last.
_MLP: _Rules = (
    (r"\.layers\.0\.", ".proj_in."),
    (r"\.layers\.2\.", ".proj_out."),
    (r"\.layers\.1\.", ".layers.0."),
)
_HEADS: _Rules = tuple(
    (rf"^({heads}){old}", rf"\1{new}")
    for heads in (r"iou_prediction_head|pred_obj_score_head|output_hypernetworks_mlps\.\d+",)
    for old, new in _MLP
)
_NORMS: _Rules = ((r"\bnorm([1-4])\b", r"layer_norm\1"), (r"\bout_proj\b", "o_proj"))
_DECODER: _Rules = (
    *_HEADS,
    *_NORMS,
    (r"\bnorm_final_attn\b", "layer_norm_final_attn"),
    (r"\.mlp\.(lin1|layers\.0)\.", ".mlp.proj_in."),
    (r"\.mlp\.(lin2|layers\.1)\.", ".mlp.proj_out."),
    (r"^output_upscaling\.0\.", "upscale_conv1."),
    (r"^output_upscaling\.1\.", "upscale_layer_norm."),
    (r"^output_upscaling\.3\.", "upscale_conv2."),
)
_PROMPTS: _Rules = (
    (r"^mask_downscaling\.0\.", "mask_embed.conv1."),
    (r"^mask_downscaling\.1\.", "mask_embed.layer_norm1."),
    (r"^mask_downscaling\.3\.", "mask_embed.conv2."),
    (r"^mask_downscaling\.4\.", "mask_embed.layer_norm2."),
    (r"^mask_downscaling\.6\.", "mask_embed.conv3."),
)
_MEMORY: _Rules = (
    (r"^pix_feat_proj\.", "feature_projection."),
    (r"^out_proj\.", "projection."),
    (r"^fuser\.", "memory_fuser."),
    (r"\bgamma$", "scale"),
    (r"\bdwconv\.", "depthwise_conv."),
    (r"\bpwconv([12])\.", r"pointwise_conv\1."),
    (r"\.norm\.", ".layer_norm."),
    *(
        (
            rf"^mask_downsampler\.encoder\.{3 * layer + place}\.",
            f"mask_downsampler.layers.{layer}.{kind}.",
        )
        for layer in range(4)
        for place, kind in enumerate(("conv", "layer_norm"))
    ),
    (r"^mask_downsampler\.encoder\.12\.", "mask_downsampler.final_conv."),
)
_HOMES: tuple[tuple[str, str, _Rules], ...] = (
    ("maskmem_tpos_enc", "memory_temporal_positional_encoding", ()),
    ("no_mem_embed", "no_memory_embedding", ()),
    ("no_mem_pos_enc", "no_memory_positional_encoding", ()),
    ("no_obj_ptr", "no_object_pointer", ()),
    ("no_obj_embed_spatial", "occlusion_spatial_embedding_parameter", ()),
    ("mask_downsample.", "mask_downsample.", ()),
    ("obj_ptr_tpos_proj.", "temporal_positional_encoding_projection_layer.", ()),
    ("obj_ptr_proj", "object_pointer_proj", _MLP),
    ("sam_prompt_encoder.", "prompt_encoder.", _PROMPTS),
    ("sam_mask_decoder.", "mask_decoder.", _DECODER),
    (
        "transformer.encoder.",
        "memory_attention.",
        (*_NORMS, (r"^norm\.", "layer_norm.")),
    ),
    ("maskmem_backbone.", "memory_encoder.", _MEMORY),
)
