"""SAM 3 weights in every layout, exact against the original's outputs, or refused by name."""

import json

import pytest

torch = pytest.importorskip("torch", reason="SAM 3 needs the extra 'sam3'")
pytest.importorskip("peft", reason="SAM 3 needs the extra 'sam3'")

from safetensors.torch import save_file  # noqa: E402 - after the check for the extra

from benchmarks.sam3.vectors import differences  # noqa: E402
from segmenter.backends.sam3.errors import WeightsError  # noqa: E402
from segmenter.backends.sam3.network import DetectorPrompt  # noqa: E402
from segmenter.backends.sam3.weights import load as sam3_load  # noqa: E402
from segmenter.backends.sam3.weights.checkpoint import read_config  # noqa: E402
from segmenter.backends.sam3.weights.convert import convert  # noqa: E402
from tests.segmenter.backends.sam3.vectors import (  # noqa: E402
    CASES,
    LIMITS,
    LORA,
    LORA_CASES,
    LORA_CONFIG,
    TINY,
    beside,
    needs_vectors,
    too_far,
)

pytestmark = needs_vectors
QKV = "detector.backbone.vision_backbone.trunk.blocks.1.attn.qkv.weight"


def load_network(source, **options):
    return sam3_load.load_network(source, **options)


@pytest.fixture(scope="module")
def original():
    return torch.load(TINY / "sam3.pt", weights_only=True)["model"]


def write(folder, tensors):
    torch.save(tensors, beside(folder) / "sam3.pt")
    return folder


def test_the_original_checkpoint_gives_the_originals_outputs(tiny_network):
    assert too_far(differences(tiny_network, CASES)) == {}


def test_a_merged_lora_gives_the_originals_outputs():
    network = load_network(TINY, lora=LORA, lora_config=LORA_CONFIG, merged=True)
    assert network.adapters == ("medsam3",)
    assert too_far(differences(network, LORA_CASES)) == {}


def test_an_adapter_gives_the_originals_outputs_and_can_be_switched_off(adapted):
    assert adapted.adapters == ("medsam3", "base")
    assert too_far(differences(adapted, LORA_CASES)) == {}
    assert too_far(differences(adapted, CASES, adapter="base")) == {}
    assert too_far(differences(adapted, LORA_CASES, adapter="medsam3")) == {}


def test_the_lora_makes_a_difference(adapted):
    assert too_far(differences(adapted, CASES)) != {}


def test_an_adapter_that_is_not_there_is_refused(adapted):
    with pytest.raises(ValueError, match="no adapter 'other'; there are medsam3, base"):
        adapted.encode(torch.zeros(1, 3, 168, 168), adapter="other")


@pytest.mark.parametrize("kept", ["detector.", ""])
@pytest.mark.parametrize("nested", [True, False])
def test_prefix_and_nesting_do_not_matter(tmp_path, original, kept, nested):
    tensors = {kept + name.removeprefix("detector."): each for name, each in original.items()}
    folder = write(tmp_path / "weights", {"model": tensors} if nested else tensors)
    assert too_far(differences(load_network(folder), CASES)) == {}
    assert too_far(differences(load_network(folder / "sam3.pt"), CASES)) == {}


@pytest.mark.parametrize("merged", [True, False])
def test_converted_weights_give_the_same_outputs(tmp_path, merged):
    out = tmp_path / "out"
    done = convert(str(TINY), out, lora=LORA, lora_config=LORA_CONFIG, merged=merged)
    assert (done.adapter is None) == merged
    network = load_network(out, lora=done.adapter)
    assert too_far(differences(network, LORA_CASES)) == {}
    if not merged:
        assert too_far(differences(load_network(out), CASES)) == {}
        whole = load_network(out, lora=done.adapter, merged=True)
        assert too_far(differences(whole, LORA_CASES)) == {}


def test_the_video_models_layout_is_read(tmp_path):
    """Its detector has a prefix, its tracker is left aside, its configuration is nested."""
    convert(str(TINY), tmp_path / "plain")
    plain = load_network(tmp_path / "plain")
    state = plain.model.state_dict()
    tensors = {f"detector_model.{n}": each.contiguous() for n, each in state.items()}
    tensors["tracker_neck.fpn_layers.0.proj1.bias"] = torch.zeros(4)
    folder = beside(tmp_path / "video")
    save_file(tensors, folder / "model.safetensors")
    told = json.loads((TINY / "config.json").read_text())
    video = {"model_type": "sam3_video", "detector_config": told}
    (folder / "config.json").write_text(json.dumps(video))
    assert too_far(differences(load_network(folder), CASES)) == {}


def test_shards_are_read_and_a_missing_one_is_named(tmp_path):
    convert(str(TINY), tmp_path / "plain")
    tensors = load_network(tmp_path / "plain").model.state_dict()
    folder, names = beside(tmp_path / "shards"), sorted(tensors)
    parts = {"one.safetensors": names[:200], "two.safetensors": names[200:]}
    for file, own in parts.items():
        save_file({name: tensors[name].contiguous() for name in own}, folder / file)
    table = {name: file for file, own in parts.items() for name in own}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": table}))
    assert too_far(differences(load_network(folder), CASES)) == {}
    (folder / "two.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"not there: two\.safetensors"):
        load_network(folder)


def test_a_missing_tensor_is_named(tmp_path, original):
    tensors = {name: each for name, each in original.items() if name != QKV}
    with pytest.raises(WeightsError, match=r"missing.*layers\.1\.attention\.k_proj\.weight"):
        load_network(write(tmp_path / "weights", tensors))


def test_a_renamed_tensor_is_named(tmp_path, original):
    tensors = {name.replace(QKV, "detector.backbone.qqq"): v for name, v in original.items()}
    with pytest.raises(WeightsError, match=r"not of SAM 3: detector\.backbone\.qqq"):
        load_network(write(tmp_path / "weights", tensors))


def test_an_unexpected_layer_is_named(tmp_path, original):
    tensors = original | {QKV.replace("blocks.1", "blocks.7"): original[QKV]}
    with pytest.raises(WeightsError, match=r"unexpected.*layers\.7\.attention\.q_proj"):
        load_network(write(tmp_path / "weights", tensors))


def test_a_tensor_of_another_shape_is_named(tmp_path, original):
    tensors = original | {QKV: original[QKV][:, :32].clone()}
    with pytest.raises(WeightsError, match=r"another shape: .*layers\.1\.attention\.k_proj"):
        load_network(write(tmp_path / "weights", tensors))


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    with pytest.raises(WeightsError, match="no torch checkpoint of tensors alone"):
        load_network(write(tmp_path / "weights", {"model": {"a": pytest.approx(1)}}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "sam3.pt").unlink(), "holds none of"),
        (lambda folder: (folder / "sam3.pt").write_bytes(b"PK\x03\x04"), "no torch checkpoint"),
        (lambda folder: (folder / "tokenizer/tokenizer.json").unlink(), "no tokenizer.json"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "sam2"}'), "'sam2'"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(tmp_path, original, spoil, message):
    folder = write(tmp_path / "weights", original)
    spoil(folder)
    with pytest.raises(WeightsError, match=message):
        load_network(folder)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(WeightsError, match="no SAM 3 weights at"):
        load_network(tmp_path / "nowhere")


def test_without_a_configuration_the_published_sizes_count():
    config = read_config(None)
    backbone = config.vision_config.backbone_config
    assert (backbone.image_size, backbone.hidden_size, backbone.num_hidden_layers) == (
        1008,
        1024,
        32,
    )
    assert backbone.layer_norm_eps == 1e-5


def test_a_conversion_does_not_write_into_a_full_folder(tmp_path):
    (tmp_path / "kept").write_text("")
    with pytest.raises(WeightsError, match="is not empty"):
        convert(str(TINY), tmp_path)


def test_the_hash_tells_base_and_adapter_apart(tmp_path, original, tiny_network, adapted):
    base = tiny_network
    assert base.weights_sha256 == load_network(TINY).weights_sha256
    assert base.weights_sha256 != adapted.weights_sha256
    changed = original | {QKV: original[QKV] + 1}
    other = load_network(write(tmp_path / "weights", changed))
    assert other.weights_sha256 != base.weights_sha256


def test_a_batch_answers_as_single_questions_do(adapted):
    features = adapted.features(adapted.encode(torch.load(CASES, weights_only=True)["pixels"]))
    questions = [
        DetectorPrompt("truck"),
        DetectorPrompt("wheel", ((0.3, 0.62, 0.12, 0.2), (0.7, 0.4, 0.3, 0.25)), (True, False)),
        DetectorPrompt(None, ((0.5, 0.5, 0.4, 0.3),), (True,)),
        DetectorPrompt("truck"),
    ]
    together = adapted.detect(features, questions)
    for row, question in enumerate(questions):
        alone = adapted.detect(features, [question])
        for ours, theirs in zip(together, alone, strict=True):
            assert float((ours[row] - theirs[0]).abs().max()) < 5e-5
    # The same question twice: threads that share a batch may round its rows differently.
    assert float((together.logits[0] - together.logits[3]).abs().max()) < LIMITS["logits"]


def test_a_kept_encoding_gives_the_same_bits(adapted):
    encoded = adapted.encode(torch.load(CASES, weights_only=True)["pixels"])
    first = adapted.detect(adapted.features(encoded), [DetectorPrompt("truck")])
    again = adapted.detect(adapted.features(encoded.clone()), [DetectorPrompt("truck")])
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_half_precision_of_the_vision_encoder_stays_near(tiny_network):
    pixels = torch.load(CASES, weights_only=True)["pixels"]
    plain, half = tiny_network, load_network(TINY, vision_dtype=torch.bfloat16)
    assert (half.vision_dtype, half.detector_dtype) == (torch.bfloat16, torch.float32)
    boxes = [
        each.detect(each.features(each.encode(pixels)), [DetectorPrompt("truck")]).boxes
        for each in (plain, half)
    ]
    difference = float((boxes[0] - boxes[1]).abs().max())
    assert 0 < difference < 0.1
