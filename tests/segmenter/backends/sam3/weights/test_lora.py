"""MedSAM-3's LoRA file: of any rank, and refused by name when it does not fit."""

import pytest

torch = pytest.importorskip("torch", reason="SAM 3 needs the extra 'sam3'")
pytest.importorskip("peft", reason="SAM 3 needs the extra 'sam3'")

from segmenter.backends.sam3.errors import WeightsError  # noqa: E402
from segmenter.backends.sam3.network import DetectorPrompt  # noqa: E402
from segmenter.backends.sam3.weights import load as sam3_load  # noqa: E402 - after the check for the extra
from tests.segmenter.backends.sam3.vectors import (  # noqa: E402
    CASES,
    LORA,
    LORA_CONFIG,
    TINY,
    needs_vectors,
)

pytestmark = needs_vectors
MODULE = "backbone.vision_backbone.trunk.blocks.1.attn.qkv"
A, B = f"{MODULE}.lora.lora_A", f"{MODULE}.lora.lora_B"


def load(lora, **options):
    return sam3_load.load_network(TINY, lora=lora, **options)


@pytest.fixture(scope="module")
def tensors():
    return dict(torch.load(LORA, weights_only=True))


def write(tmp_path, tensors, rank=16, alpha=32):
    path = tmp_path / "lora.pt"
    torch.save(tensors, path)
    config = tmp_path / "lora.yaml"
    config.write_text(f"lora:\n  rank: {rank}\n  alpha: {alpha}\n")
    return {"lora": path, "lora_config": config}


def of_rank(tensors, rank):
    """The same modules with random changes of another rank."""
    torch.manual_seed(rank)
    sizes = {"A": lambda t: (t.shape[0], rank), "B": lambda t: (rank, t.shape[1])}
    return {name: torch.randn(sizes[name[-1]](t)) * 0.1 for name, t in tensors.items()}


def answer(network):
    pixels = torch.load(CASES, weights_only=True)["pixels"]
    question = DetectorPrompt("wheel", ((0.3, 0.6, 0.1, 0.2),), (True,))
    return network.detect(network.features(network.encode(pixels)), [question])


@pytest.mark.parametrize("rank", [1, 4, 40])
def test_merged_and_attached_agree_at_any_rank(tmp_path, tensors, tiny_network, rank):
    files = write(tmp_path, of_rank(tensors, rank), rank=rank, alpha=1.5 * rank)
    merged, attached = (answer(load(**files, merged=merged)) for merged in (True, False))
    base = answer(tiny_network)
    for name, a, b, c in zip(merged._fields, merged, attached, base, strict=True):
        assert float((a - b).abs().max()) < 2e-3 * max(1.0, float(a.abs().max())), name
        assert float((a - c).abs().max()) > 1e-3, name


def test_a_merged_weight_is_the_formulas(tensors, tiny_network):
    """alpha / rank * (A B)^T, its last third for the values."""
    merged = load(LORA, lora_config=LORA_CONFIG, merged=True)
    name = "vision_encoder.backbone.layers.1.attention.v_proj.weight"
    change = 2.0 * (tensors[A] @ tensors[B]).t()[-64:]
    found = merged.model.state_dict()[name] - tiny_network.model.state_dict()[name]
    assert torch.allclose(found, change, atol=1e-6)


def test_alpha_may_be_given_instead_of_the_yaml(adapted):
    given = answer(load(LORA, alpha=32.0)).logits
    assert torch.equal(given, answer(adapted).logits)
    assert not torch.equal(given, answer(load(LORA, alpha=16.0)).logits)


def test_without_alpha_nothing_is_guessed():
    with pytest.raises(WeightsError, match="does not tell alpha"):
        load(LORA)


def test_another_rank_than_the_yaml_says_is_refused(tmp_path, tensors):
    with pytest.raises(WeightsError, match=r"not of rank 32, which its YAML says: backbone\."):
        load(**write(tmp_path, tensors, rank=32))


def test_a_module_of_another_rank_is_named(tmp_path, tensors):
    odd = tensors | {A: tensors[A][:, :8].clone(), B: tensors[B][:8].clone()}
    with pytest.raises(WeightsError, match=f"not of rank 16, which its YAML says: {MODULE}$"):
        load(**write(tmp_path, odd))


def test_a_missing_half_is_named(tmp_path, tensors):
    half = {name: each for name, each in tensors.items() if name != B}
    with pytest.raises(WeightsError, match=f"only one of lora_A and lora_B: {MODULE}"):
        load(**write(tmp_path, half))


def test_a_module_missing_in_one_layer_is_named(tmp_path, tensors):
    gap = {name: each for name, each in tensors.items() if name not in (A, B)}
    with pytest.raises(WeightsError, match=r"lacks .*layers\.1\.attention\.k_proj"):
        load(**write(tmp_path, gap))


def test_a_renamed_module_is_named(tmp_path, tensors):
    renamed = {
        name.replace("blocks.1.attn.qkv", "blocks.1.attn.kqv"): t for name, t in tensors.items()
    }
    with pytest.raises(WeightsError, match=r"does not have: .*attn\.kqv"):
        load(**write(tmp_path, renamed))


def test_a_module_of_another_shape_is_named(tmp_path, tensors):
    wrong = tensors | {A: torch.zeros(32, 16)}
    with pytest.raises(WeightsError, match=f"another shape than the model's: {MODULE}"):
        load(**write(tmp_path, wrong))


def test_what_is_no_lora_is_refused(tmp_path, tensors):
    with pytest.raises(WeightsError, match="holds 'epoch', which is no lora_A"):
        load(**write(tmp_path, tensors | {"epoch": torch.zeros(1)}))


def test_the_points_projections_have_no_place_and_are_left_out(tensors):
    assert any("points_" in name for name in tensors)
    assert load(LORA, alpha=32.0).adapters == ("medsam3", "base")


def test_a_yaml_without_the_numbers_is_refused(tmp_path):
    path = tmp_path / "lora.yaml"
    path.write_text("lora: {rank: 16}\n")
    with pytest.raises(WeightsError, match=r"lora.yaml has no lora.rank and lora.alpha"):
        load(LORA, lora_config=path)
