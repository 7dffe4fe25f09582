"""The SAM 3 backend on the tiny random model: real networks, made pictures."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="SAM 3 needs the extra 'sam3'")
pytest.importorskip("peft", reason="SAM 3 needs the extra 'sam3'")

from segmenter.backends.sam3.backend import Sam3Backend, to_prediction, to_question  # noqa: E402
from segmenter.backends.sam3.network import Detections  # noqa: E402
from segmenter.backends.sam3.preprocess import to_centred, to_picture, to_pixels  # noqa: E402
from segmenter.contract import (  # noqa: E402
    Box,
    BoxPrompt,
    PointPrompt,
    Prompt,
)
from segmenter.errors import InvalidPrompt  # noqa: E402
from tests.segmenter.backends.sam3.vectors import needs_vectors  # noqa: E402

SHAPE = (40, 60)


@pytest.fixture(scope="module")
def backend(adapted):
    return Sam3Backend(adapted, weights_id="tiny")


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(5).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)


def example(x0, y0, x1, y1, label="positive"):
    return BoxPrompt(box=Box(x0=x0, y0=y0, x1=x1, y1=y1), label=label)


def detections(scores, presence, fill):
    """One row: logits of probabilities; masks of 4 x 4 that are `fill` on their left half."""
    masks = torch.full((1, len(scores), 4, 4), -9.0)
    for place, value in enumerate(fill):
        masks[0, place, :, :2] = value
    told = torch.tensor([scores, [presence] * len(scores)]).logit()
    boxes = torch.zeros(1, len(scores), 4)
    return Detections(told[:1], told[1, :1], boxes, masks, masks[:, 0])


def test_a_picture_is_squashed_to_plus_and_minus_one():
    image = np.zeros((4, 8, 3), dtype=np.uint8)
    image[:, 4:, 1] = 255
    pixels = to_pixels(image, 4)
    assert pixels.shape == (1, 3, 4, 4)
    assert pixels[0, 0].unique().tolist() == [-1.0]
    assert pixels[0, 1, 0, 0] == -1.0
    assert pixels[0, 1, 0, 3] == 1.0


def test_a_box_is_told_by_centre_and_size():
    box = Box(x0=6, y0=10, x1=18, y1=20)
    assert to_centred(box, SHAPE) == pytest.approx((12 / 60, 15 / 40, 12 / 60, 10 / 40))


def test_masks_come_back_in_the_pictures_size():
    logits = torch.tensor([[[-1.0, 1.0], [-1.0, 1.0]]])
    large = to_picture(logits, (4, 8))
    assert large.shape == (1, 4, 8)
    assert (large[0] > 0).tolist() == [[False] * 4 + [True] * 4] * 4


def test_a_prompt_becomes_a_question():
    prompt = Prompt(
        text="nodule", boxes=(example(0, 0, 30, 20), example(30, 20, 90, 40, "negative"))
    )
    question = to_question(prompt, SHAPE)
    assert question.phrase == "nodule"
    assert question.boxes == (
        pytest.approx((0.25, 0.25, 0.5, 0.5)),
        pytest.approx((0.75, 0.75, 0.5, 0.5)),
    )
    assert question.positive == (True, False)


def test_a_box_off_the_image_is_refused():
    with pytest.raises(InvalidPrompt, match="outside the 60 x 40 image"):
        to_question(Prompt(boxes=(example(70, 0, 80, 9),)), SHAPE)


def test_score_times_presence_decides_and_the_best_comes_first():
    found = detections([0.6, 0.9, 0.5, 0.8], 0.75, [5.0, 5.0, 5.0, -5.0])
    answer = to_prediction(found, 0, Prompt(text="mass"), SHAPE, 0.4)
    assert [mask.score for mask in answer.masks] == pytest.approx([0.9, 0.6])
    assert answer.presence == pytest.approx(0.75)
    assert answer.concept == "mass"
    assert answer.reason is None
    assert answer.masks[0].mask.shape == SHAPE
    assert 0.4 < answer.masks[0].mask.mean() < 0.6


def test_nothing_found_says_how_near_it_was():
    found = detections([0.6, 0.2], 0.5, [5.0, 5.0])
    answer = to_prediction(found, 0, Prompt(text="mass"), SHAPE, 0.4)
    assert answer.masks == ()
    assert answer.reason == "looked for the concept, the best mask scores 0.30, threshold 0.40"


@needs_vectors
def test_it_says_what_it_is(backend, tiny_network):
    told = backend.capabilities
    assert (told.model.kind, told.model.weights_id) == ("medsam3", "tiny")
    assert told.concepts is None
    assert told.negative_boxes
    assert Sam3Backend(tiny_network, weights_id="t").capabilities.model.kind == "sam3"


@needs_vectors
def test_a_batch_of_prompts_answers_as_single_ones_do(backend, picture):
    prompts = [Prompt(text=text) for text in ("mass", "shadow", "nodule", "cyst", "vessel")]
    prompts.append(Prompt(boxes=(example(10, 10, 30, 30),)))
    prompts.append(
        Prompt(text="mass", boxes=(example(1, 1, 9, 9), example(20, 20, 30, 30, "negative")))
    )
    embedding = backend.embed(picture)
    together = backend.predict(embedding, prompts, threshold=0.0)
    assert len(together) == len(prompts)
    for prompt, ours in zip(prompts, together, strict=True):
        (alone,) = backend.predict(backend.embed(picture), [prompt], threshold=0.0)
        assert ours.presence == pytest.approx(alone.presence, abs=1e-5)
        assert len(ours.masks) == len(alone.masks) > 0
        assert ours.masks[0].score == pytest.approx(alone.masks[0].score, abs=1e-5)
        assert (ours.masks[0].mask != alone.masks[0].mask).mean() < 1e-3


@needs_vectors
def test_a_kept_embedding_gives_the_same_masks_to_the_bit(backend, picture):
    embedding = backend.embed(picture)
    prompts = [Prompt(text="mass")]
    first, again = (backend.predict(embedding, prompts, threshold=0.0)[0] for _ in range(2))
    assert backend.embedding_bytes(embedding) == 144 * 64 * 4
    for one, two in zip(first.masks, again.masks, strict=True):
        assert (one.mask == two.mask).all()
        assert one.score == two.score


def test_medsam3s_rule_passes_over_presence_and_cuts_before_resizing():
    found = detections([0.6, 0.9], 0.1, [5.0, 0.5])
    prompt = Prompt(text="mass")
    assert to_prediction(found, 0, prompt, SHAPE, 0.5).masks == ()
    answer = to_prediction(found, 0, prompt, SHAPE, 0.5, postprocess="medsam3")
    assert [mask.score for mask in answer.masks] == pytest.approx([0.9, 0.6])
    # Logits of 0.5 and -9 meet nearer to the weak side; cut first, they meet in the middle.
    soft = to_prediction(found, 0, prompt, SHAPE, 0.05).masks
    assert answer.masks[0].mask[:, :30].all()
    assert not answer.masks[0].mask[:, 30:].any()
    assert soft[0].mask.sum() < answer.masks[0].mask.sum()


@needs_vectors
def test_base_and_adapter_answer_from_one_set_of_weights(backend, tiny_network, picture):
    assert backend.capabilities.adapters == ("medsam3", "base")
    base = backend.under(adapter="base", postprocess=None)
    plain = Sam3Backend(tiny_network, weights_id="t")
    prompts = [Prompt(text="mass")]
    (wanted,) = plain.predict(plain.embed(picture), prompts, threshold=0.0)
    (found,) = base.predict(base.embed(picture), prompts, threshold=0.0)
    (other,) = backend.predict(backend.embed(picture), prompts, threshold=0.0)
    assert found.presence == pytest.approx(wanted.presence, abs=1e-6)
    assert found.masks[0].score == pytest.approx(wanted.masks[0].score, abs=1e-6)
    assert abs(other.presence - wanted.presence) > 1e-4
    assert (base.capabilities.model.kind, base.capabilities.model.adapter) == ("sam3", "base")
    assert base.capabilities.model.weights_sha256 == backend.capabilities.model.weights_sha256


@needs_vectors
def test_an_object_needs_the_tracker(backend, picture):
    assert "point" not in backend.capabilities.prompts
    prompt = Prompt(points=(PointPrompt(x=3, y=3),), kind="object")
    with pytest.raises(InvalidPrompt, match="without the tracker"):
        backend.predict(backend.embed(picture), [prompt], threshold=0.0)


@needs_vectors
def test_the_neck_runs_once_for_one_picture_and_anew_for_another(tiny_network, picture):
    network = tiny_network
    first = network.encode(to_pixels(picture, network.image_size))
    second = network.encode(to_pixels(picture[::-1].copy(), network.image_size))
    kept = network.features(first)
    assert network.features(first) is kept
    other = network.features(second)
    assert not torch.equal(other.fpn_hidden_states[0], kept.fpn_hidden_states[0])
    again = network.features(first)
    assert torch.equal(again.fpn_hidden_states[0], kept.fpn_hidden_states[0])
