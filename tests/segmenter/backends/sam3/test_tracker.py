"""The tracker: its weights under both names, and single objects as transformers draws them."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="SAM 3 needs the extra 'sam3'")
pytest.importorskip("peft", reason="SAM 3 needs the extra 'sam3'")

from transformers import Sam3TrackerVideoModel, Sam3VideoConfig, Sam3VideoModel  # noqa: E402

from segmenter.backends.sam3.backend import Sam3Backend  # noqa: E402
from segmenter.backends.sam3.errors import WeightsError  # noqa: E402
from segmenter.backends.sam3.preprocess import to_pixels  # noqa: E402
from segmenter.backends.sam3.tracker import ObjectPrompt, is_ambiguous  # noqa: E402
from segmenter.backends.sam3.weights.convert import convert  # noqa: E402
from segmenter.backends.sam3.weights.load import load_network  # noqa: E402
from segmenter.backends.sam3.weights.tracker_names import translate  # noqa: E402
from segmenter.contract import (  # noqa: E402
    Box,
    BoxPrompt,
    PointPrompt,
    Prompt,
    Rle,
)
from segmenter.errors import InvalidPrompt  # noqa: E402
from segmenter.masks import rle  # noqa: E402
from tests.segmenter.backends.sam3.trackers import (  # noqa: E402
    original_names,
    tiny_checkpoint,
    tiny_shapes,
)
from tests.segmenter.backends.sam3.vectors import beside, needs_vectors  # noqa: E402

SHAPE = (40, 60)
# Tensors of the published sam3.pt (reference/sam3.md, section 3), and those of its detector:
# outside of layers, and per layer of ViT, text, geometry encoder, encoder and decoder.
PUBLISHED = 1465
DETECTOR = 146 + 32 * 13 + 24 * 12 + 3 * 18 + 6 * 18 + 6 * 24


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    folder = beside(tmp_path_factory.mktemp("tracked") / "tiny")
    return tiny_checkpoint(folder, tiny_shapes())


@pytest.fixture(scope="module")
def network(weights):
    return load_network(weights)


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(5).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)


def test_every_tensor_of_the_published_checkpoint_has_a_place():
    names = original_names()
    assert DETECTOR + len(names) == PUBLISHED
    places = [translate(name) for name in names]
    found = {f"tracker_model.{name}" for place in places for name in place.names}
    with torch.device("meta"):
        model = Sam3VideoModel._from_config(Sam3VideoConfig())
    assert found == {name for name in model.state_dict() if name.startswith("tracker_model.")}


def test_a_name_of_nobody_has_no_place():
    assert translate("sam_mask_decoder_v2.conv_s0.weight") is None


def reference(network):
    """`Sam3TrackerVideoModel` with its own vision encoder, of the same tensors.

    Not `Sam3TrackerModel`: in 5.23 it adds the embedding for "no memory" to a level of the pyramid
    that is then thrown away.
    """
    tracker = network.tracker
    model = Sam3TrackerVideoModel(tracker.model.config).eval()
    parts = {
        "vision_encoder.neck.": tracker.neck,
        "vision_encoder.backbone.": network.model.vision_encoder.backbone,
        "": tracker.model,
    }
    state = {f"{at}{n}": v for at, part in parts.items() for n, v in part.state_dict().items()}
    # The very same memory: kernels round by how tensors are aligned, and a video adds that up.
    model.load_state_dict(state, strict=True, assign=True)
    return model


CASES = {
    "point": ObjectPrompt(points=((0.5, 0.4),), positive=(True,)),
    "points": ObjectPrompt(points=((0.5, 0.4), (0.1, 0.9)), positive=(True, False)),
    "box": ObjectPrompt(box=(0.2, 0.25, 0.7, 0.75)),
    "box and point": ObjectPrompt(((0.5, 0.4),), (True,), (0.2, 0.25, 0.7, 0.75)),
    "box and mask": ObjectPrompt(
        box=(0.2, 0.25, 0.7, 0.75), mask=torch.linspace(-9, 9, 48 * 48).view(48, 48)
    ),
}


@needs_vectors
@pytest.mark.parametrize("prompt", CASES.values(), ids=CASES.keys())
def test_an_object_is_drawn_as_transformers_draws_it(network, picture, prompt):
    pixels = to_pixels(picture, network.image_size)
    (ours,) = network.tracker.segment(network.encode(pixels), [prompt])
    side = network.image_size
    asked = {}
    if prompt.points:
        asked["input_points"] = torch.tensor([[prompt.points]]) * side - 0.5
        asked["input_labels"] = torch.tensor([[[int(sign) for sign in prompt.positive]]])
    if prompt.box:
        asked["input_boxes"] = torch.tensor([[prompt.box]]) * side - 0.5
    if prompt.mask is not None:
        asked["input_masks"] = prompt.mask[None, None]
    with torch.inference_mode():
        theirs = reference(network)._single_frame_forward(
            pixel_values=pixels, multimask_output=is_ambiguous(prompt), **asked
        )
    assert ours.logits.shape == (3 if is_ambiguous(prompt) else 1, 48, 48)
    assert (ours.iou - theirs.iou_scores[0, 0]).abs().max() < 1e-6
    assert ours.object_score == pytest.approx(float(theirs.object_score_logits), abs=1e-5)
    # They draw nothing where they see no object; these weights see one everywhere.
    assert ours.object_score > 0
    assert (ours.logits[ours.iou.argmax()] - theirs.pred_masks[0, 0]).abs().max() < 1e-5


@needs_vectors
def test_the_detector_is_the_same_with_a_tracker_beside_it(network, tiny_network, picture):
    pixels = to_pixels(picture, network.image_size)
    assert torch.equal(network.encode(pixels), tiny_network.encode(pixels))
    assert tiny_network.tracker is None


@needs_vectors
def test_points_boxes_and_masks_go_through_the_backend(network, picture):
    backend = Sam3Backend(network, weights_id="tiny")
    assert {"point", "mask"} <= set(backend.capabilities.prompts)
    embedding = backend.embed(picture)
    clicked = Prompt(points=(PointPrompt(x=30, y=20),), kind="object")
    boxed = Prompt(boxes=(BoxPrompt(box=Box(x0=5, y0=5, x1=40, y1=35)),), kind="object")
    text = Prompt(text="mass")
    first, middle, last = backend.predict(embedding, [clicked, text, boxed], threshold=0.0)
    assert middle.concept == "mass"
    assert (first.concept, last.concept) == (None, None)
    scores = [mask.score for mask in first.masks]
    assert scores == sorted(scores, reverse=True)
    assert all(mask.mask.shape == SHAPE for mask in (*first.masks, *last.masks))
    drawn = rle.encode(np.pad(np.ones((10, 10), bool), ((5, 25), (5, 45))))
    again = Prompt(mask=drawn, points=(PointPrompt(x=30, y=20, label="negative"),), kind="object")
    (refined,) = backend.predict(embedding, [again], threshold=0.0)
    assert 0.0 <= refined.presence <= 1.0


@needs_vectors
@pytest.mark.parametrize(
    ("prompt", "field"),
    [
        (Prompt(boxes=(BoxPrompt(box=Box(x0=90, y0=5, x1=99, y1=9)),), kind="object"), "boxes"),
        (Prompt(mask=Rle(size=SHAPE, counts="zzz"), kind="object"), "mask"),
        (Prompt(mask=Rle(size=(3, 3), counts="9"), kind="object"), "mask"),
    ],
)
def test_what_shows_no_object_is_named(network, picture, prompt, field):
    backend = Sam3Backend(network, weights_id="tiny")
    with pytest.raises(InvalidPrompt) as caught:
        backend.predict(backend.embed(picture), [prompt], threshold=0.0)
    assert caught.value.field == field


def spoiled(weights: Path, folder: Path, change) -> Path:
    beside(folder)
    loaded = torch.load(weights / "sam3.pt", weights_only=True)
    change(loaded["model"])
    torch.save(loaded, folder / "sam3.pt")
    return folder


@needs_vectors
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("tracker.no_mem_embed"), "missing tensors: tracker_model.no_memory_embed"),
        (lambda t: t.update({"tracker.strange": torch.zeros(1)}), "tracker.strange"),
        (
            lambda t: t.update({"tracker.obj_ptr_proj.layers.0.bias": torch.zeros(3)}),
            "another shape: tracker_model.object_pointer_proj.proj_in.bias",
        ),
        (
            lambda t: t.pop("detector.backbone.vision_backbone.sam2_convs.0.conv_1x1.weight"),
            "missing tensors: tracker_neck.fpn_layers.0.proj1.weight",
        ),
    ],
    ids=["missing", "unexpected", "shape", "neck"],
)
def test_a_tracker_that_is_not_whole_is_refused(weights, tmp_path, change, words):
    with pytest.raises(WeightsError, match=re.escape(words)):
        load_network(spoiled(weights, tmp_path / "spoiled", change))


@needs_vectors
def test_converted_weights_keep_the_tracker(weights, network, picture, tmp_path):
    convert(str(weights), tmp_path / "out")
    again = load_network(tmp_path / "out")
    before, after = (each.tracker.model.state_dict() for each in (network, again))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    pixels = to_pixels(picture, network.image_size)
    for prompt in CASES.values():
        (drawn,) = network.tracker.segment(network.encode(pixels), [prompt])
        (redrawn,) = again.tracker.segment(again.encode(pixels), [prompt])
        # Not the same bits: in a safetensors file tensors lie at any address, and kernels sum
        # from the next aligned one. Logits below 1 then differ in the last bits.
        assert (drawn.logits - redrawn.logits).abs().max() < 1e-6
    video: Any = Sam3VideoModel
    opened, report = video.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(report.values()), report
    assert opened.config.model_type == "sam3_video"
