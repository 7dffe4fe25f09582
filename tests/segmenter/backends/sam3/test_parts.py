"""ROI align by hand, phrases to tokens, names of tensors."""

import pytest

torch = pytest.importorskip("torch", reason="SAM 3 needs the extra 'sam3'")
pytest.importorskip("ftfy", reason="SAM 3 needs the extra 'sam3'")

from segmenter.backends.sam3.roi_align import roi_align  # noqa: E402
from segmenter.backends.sam3.tokenizer import Tokenizer, clean, padding_free  # noqa: E402
from segmenter.backends.sam3.weights.detector_names import is_left_out, split_fused, translate  # noqa: E402
from tests.segmenter.backends.sam3.vectors import TINY, needs_vectors  # noqa: E402


def ramp():
    """Value at row y and column x is 10 y + x."""
    rows, columns = torch.arange(6.0), torch.arange(8.0)
    return (10 * rows[:, None] + columns)[None, None]


def align(box, cells):
    return roi_align(ramp(), [torch.tensor([box])], cells)[0, 0]


def test_a_cell_of_one_sample_is_the_value_in_its_middle():
    assert torch.allclose(
        align([1.0, 1.0, 3.0, 3.0], 2), torch.tensor([[16.5, 17.5], [26.5, 27.5]])
    )


def test_a_wide_cell_averages_as_many_samples_as_it_spans_pixels():
    """Over columns 0 to 4 the samples lie at 0.5, 1.5, 2.5 and 3.5, over row 2 at 2.5."""
    assert float(align([0.0, 2.0, 4.0, 3.0], 1)) == pytest.approx(25.0 + 2.0)


def test_a_box_smaller_than_a_pixel_is_taken_as_one_pixel():
    assert float(align([2.0, 2.0, 2.1, 2.1], 1)) == pytest.approx(10 * 2.5 + 2.5)


def test_beyond_the_edge_its_value_goes_on_and_then_counts_as_zero():
    """Samples at -0.5 and -1.5: the first sees column 0, the second nothing."""
    cells = align([-2.0, 1.0, 0.0, 3.0], 2)
    assert torch.allclose(cells, torch.tensor([[0.0, 15.0], [0.0, 25.0]]))


def test_the_last_column_has_no_right_neighbour():
    assert float(align([7.0, 0.0, 8.0, 1.0], 1)) == pytest.approx(5.0 + 7.0)


def test_each_picture_has_its_own_boxes():
    features = torch.cat([ramp(), -ramp()])
    box = torch.tensor([[1.0, 1.0, 2.0, 2.0]])
    found = roi_align(features, [box, box.repeat(2, 1)], 1)
    assert found.flatten().tolist() == pytest.approx([16.5, -16.5, -16.5])
    assert roi_align(features, [box[:0], box[:0]], 3).shape == (0, 1, 3, 3)


@pytest.mark.parametrize(
    ("phrase", "cleaned"),
    [
        ("  Optic\n Disc ", "optic disc"),
        ("crohn&#39;s &amp; colitis", "crohn's & colitis"),
        ("&amp;amp;", "&"),
        ("ﬁbrosis “left”", 'fibrosis "left"'),
    ],
)
def test_phrases_are_cleaned_as_the_original_does(phrase, cleaned):
    assert clean(phrase) == cleaned


@needs_vectors
def test_ids_are_the_originals():
    recorded = torch.load(TINY / "cases.pt", weights_only=True)["cases"]
    tokenizer = Tokenizer(TINY / "tokenizer")
    checked = 0
    for case in recorded:
        if "text" in case:
            assert torch.equal(tokenizer([case["text"]]), case["expected"]["token_ids"].long())
            own = padding_free(tokenizer([case["text"]])) == 0
            assert torch.equal(own, case["expected"]["language_padding"])
            checked += 1
    assert checked == 5


@needs_vectors
def test_a_long_phrase_is_cut_and_ends():
    tokenizer = Tokenizer(TINY / "tokenizer")
    (long,) = tokenizer(["mass " * 100])
    assert long.shape == (32,)
    assert (long[0], long[-1]) == (49406, 49407)
    assert torch.equal(tokenizer([None]), tokenizer(["visual"]))
    (short,) = tokenizer(["mass"])
    assert short[3:].tolist() == [0] * 29


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "a.attn.qkv.weight",
            ("a.attn.q_proj.weight", "a.attn.k_proj.weight", "a.attn.v_proj.weight"),
        ),
        ("a.attn.qkv", ("a.attn.q_proj", "a.attn.k_proj", "a.attn.v_proj")),
        ("a.in_proj_bias", ("a.q_proj.bias", "a.k_proj.bias", "a.v_proj.bias")),
        ("a.norm1.bias", ("a.norm1.bias",)),
    ],
)
def test_fused_projections_are_split(name, parts):
    assert split_fused(name) == parts


@pytest.mark.parametrize(
    ("original", "ours"),
    [
        (
            "transformer.decoder.layers.4.ca_text.out_proj.bias",
            "detr_decoder.layers.4.text_cross_attn.o_proj.bias",
        ),
        ("transformer.decoder.bbox_embed.layers.2.weight", "detr_decoder.box_head.layer3.weight"),
        (
            "transformer.decoder.layers.0.norm1.bias",
            "detr_decoder.layers.0.vision_cross_attn_layer_norm.bias",
        ),
        ("transformer.encoder.layers.0.norm1.bias", "detr_encoder.layers.0.layer_norm1.bias"),
        (
            "backbone.vision_backbone.convs.0.dconv_2x2_1.bias",
            "vision_encoder.neck.fpn_layers.0.scale_layers.2.bias",
        ),
        (
            "backbone.language_backbone.encoder.transformer.resblocks.7.attn.out_proj.bias",
            "text_encoder.text_model.encoder.layers.7.self_attn.out_proj.bias",
        ),
        (
            "dot_prod_scoring.prompt_mlp.layers.0.weight",
            "dot_product_scoring.text_mlp.layer1.weight",
        ),
    ],
)
def test_names_are_translated(original, ours):
    target = translate(original)
    assert target is not None
    assert target.name == ours


def test_some_tensors_have_no_place_and_strange_ones_no_name():
    assert is_left_out("backbone.vision_backbone.trunk.blocks.3.attn.freqs_cis")
    assert is_left_out("geometry_encoder.points_pool_project.weight")
    assert not is_left_out("geometry_encoder.boxes_pool_project.weight")
    assert translate("optimizer.state") is None
    text = translate("backbone.language_backbone.encoder.text_projection")
    assert text is not None
    assert text.transposed
