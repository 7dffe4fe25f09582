"""The bundled backend: geometry of its views, its answers, and what is shipped."""

import json

import numpy as np
import pytest

from segmenter.backends.compact.backend import WEIGHTS, CompactBackend
from segmenter.backends.compact.metadata import METADATA, CompactMetadata
from segmenter.backends.compact.sampling import (
    Rect,
    axis_weights,
    box_channel,
    paste_logits,
    sample_view,
    whole,
    zoom,
)
from segmenter.contract import Box, BoxPrompt, Prompt
from segmenter.errors import InvalidPrompt
from segmenter.masks.geometry import dice
from segmenter.training.ask import outcomes
from segmenter.training.compact import augment
from segmenter.training.concepts import CONCEPTS
from segmenter.training.dataset import read_rows
from tests.paths import SHARED

DATA = SHARED / "data"
MAX_BYTES = 20_000_000
# Far below what was measured (MODEL_CARD.md): catches a broken build, not a worse one.
FLOORS = {
    "busi": ("breast tumor", 0.40, 0.80),
    "drishti_gs": ("optic cup", 0.65, 0.88),
    "isic2018": ("skin lesion", 0.70, 0.86),
    "kvasir_seg": ("polyp", 0.40, 0.82),
}


@pytest.fixture(scope="module")
def backend():
    return CompactBackend()


@pytest.fixture(scope="module")
def picture():
    """A bright disc on a dark, noisy ground: uint8, shape (48, 64, 3)."""
    rows, columns = np.mgrid[:48, :64]
    disc = (rows - 20) ** 2 + (columns - 40) ** 2 < 100
    noise = np.random.default_rng(0).integers(0, 40, (48, 64, 1))
    return np.broadcast_to(disc[..., None] * 180 + noise, (48, 64, 3)).astype(np.uint8)


def box_prompt(text, *corners, label="positive"):
    x0, y0, x1, y1 = corners
    return Prompt(text=text, boxes=(BoxPrompt(box=Box(x0=x0, y0=y0, x1=x1, y1=y1), label=label),))


# Geometry


def test_a_zoomed_view_is_a_square_around_the_middle_of_the_box():
    rect = zoom(Box(x0=10, y0=20, x1=50, y1=30), 1.5, (100, 200))
    assert rect == Rect(x=0, y=-5, width=60, height=60)


def test_a_speck_is_not_zoomed_into_without_end():
    assert zoom(Box(x0=10, y0=10, x1=11, y1=11), 1.6, (160, 320)).width == 20


@pytest.mark.parametrize(
    ("size", "start", "extent", "out"),
    [(8, 0, 8, 8), (8, 0, 8, 32), (100, 0, 100, 7), (50, 10.3, 20.4, 16)],
    ids=["same", "larger", "smaller", "part"],
)
def test_every_sample_inside_the_source_is_an_average(size, start, extent, out):
    weights = axis_weights(size, start, extent, out)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)


def test_resampling_to_the_same_size_changes_nothing(picture):
    square = picture[:, :48]
    np.testing.assert_array_equal(sample_view(square, whole((48, 48)), 48), square)


def test_what_lies_outside_the_image_is_black():
    white = np.full((10, 10, 3), 255, dtype=np.uint8)
    view = sample_view(white, Rect(-10, 0, 20, 10), 20)
    assert view[:, :10].max() == 0
    np.testing.assert_allclose(view[:, 10:], 255, atol=1e-3)


def test_inference_and_training_resize_alike(picture):
    squashed, _ = augment.squash(picture, picture[..., 0], 24)
    ours = sample_view(picture, whole((48, 64)), 24)
    # Pillow rounds to whole grey levels after each axis.
    assert np.abs(ours - squashed).max() <= 1.0


def test_inference_and_training_zoom_alike(picture):
    rect = zoom(Box(x0=30, y0=10, x1=50, y1=30), 1.6, (48, 64))
    matrix = augment.view_matrix((40, 20), (rect.width, rect.height), 64)
    seen, _ = augment.render(picture, picture[..., 0], matrix, 64)
    difference = np.abs(sample_view(picture, rect, 64) - seen)
    # At the very edge of the image the two disagree on half a pixel.
    assert np.median(difference) <= 1.0
    assert difference.mean() <= 2.0


@pytest.mark.parametrize("factor", [1.3, 1.6, 2.5])
@pytest.mark.parametrize("middle", [(40, 20), (5, 40), (60, 3)], ids=["inside", "left", "corner"])
def test_a_mask_seen_in_a_view_comes_back_to_its_place(factor, middle):
    rows, columns = np.mgrid[:48, :64]
    disc = (rows - middle[1]) ** 2 + (columns - middle[0]) ** 2 < 80
    box = Box(x0=middle[0] - 9, y0=middle[1] - 9, x1=middle[0] + 9, y1=middle[1] + 9)
    rect = zoom(box, factor, (48, 64))
    seen = sample_view(np.repeat(disc[..., None] * np.uint8(200), 3, axis=2), rect, 64)[..., 0]
    pasted = paste_logits(seen - 100, rect, (48, 64), outside=-20)
    assert dice(pasted > 0, disc) >= 0.98


def test_pixels_a_view_does_not_show_keep_the_outside_value():
    pasted = paste_logits(np.ones((8, 8), dtype=np.float32), Rect(2, 3, 4, 4), (10, 10), -20)
    inside = np.zeros((10, 10), dtype=bool)
    inside[3:7, 2:6] = True
    np.testing.assert_array_equal(pasted > 0, inside)
    assert (pasted[~inside] == -20).all()


def test_the_box_is_drawn_where_the_view_shows_it():
    channel = box_channel(Box(x0=10, y0=20, x1=20, y1=40), Rect(0, 0, 40, 80), 40)
    expected = np.zeros((40, 40), dtype=np.float32)
    expected[10:20, 10:20] = 1
    np.testing.assert_array_equal(channel, expected)


# Answers


def test_an_unknown_concept_gets_no_mask_and_a_reason(backend, picture):
    prompt = Prompt(text="left kidney")
    (answer,) = backend.predict(backend.embed(picture), [prompt], threshold=0.0)
    assert (answer.masks, answer.presence, answer.known) == ((), 0.0, False)
    assert "'left kidney'" in answer.reason
    assert "polyp" in answer.reason


def test_an_unknown_concept_with_a_box_is_not_guessed_from_the_box(backend, picture):
    prompt = box_prompt("left kidney", 30, 10, 50, 30)
    (answer,) = backend.predict(backend.embed(picture), [prompt], threshold=0.0)
    assert answer.masks == ()
    assert not answer.known


@pytest.mark.parametrize("text", ["Skin  Lesion", "skin lesions", " SKIN LESION "])
def test_case_spacing_and_number_of_a_concept_do_not_matter(backend, picture, text):
    (answer,) = backend.predict(backend.embed(picture), [Prompt(text=text)], threshold=0.0)
    assert answer.concept == "skin lesion"


def test_a_box_alone_is_answered_without_a_concept(backend, picture):
    prompt = box_prompt(None, 30, 10, 50, 30)
    (answer,) = backend.predict(backend.embed(picture), [prompt], threshold=0.0)
    assert answer.concept is None
    assert answer.known
    rows, columns = np.mgrid[:48, :64]
    assert dice(answer.masks[0].mask, (rows - 20) ** 2 + (columns - 40) ** 2 < 100) >= 0.8


def test_a_mask_of_a_single_thing_stays_in_the_zoomed_square(backend, picture):
    prompt = box_prompt("skin lesion", 30, 10, 50, 30)
    (answer,) = backend.predict(backend.embed(picture), [prompt], threshold=0.0)
    outside = answer.masks[0].mask.copy()
    rect = zoom(prompt.boxes[0].box, backend.metadata.zoom_factor, (48, 64))
    outside[: int(rect.y + rect.height) + 1, int(rect.x) : int(rect.x + rect.width) + 1] = False
    assert not outside.any()


@pytest.mark.parametrize("value", [0, 77, 255])
@pytest.mark.parametrize("text", [None, "skin lesion", "polyp", "nuclei"])
def test_on_a_picture_of_one_value_a_box_finds_nothing(backend, value, text):
    blank = np.full((96, 128, 3), value, np.uint8)
    prompt = box_prompt(text, 30, 20, 90, 70)
    [prediction] = backend.predict(backend.embed(blank), [prompt], threshold=0.0)
    assert prediction.masks == ()
    assert prediction.presence < 0.01
    assert "one value" in prediction.reason


def test_a_box_in_an_empty_part_of_a_picture_finds_nothing(backend, picture):
    beside = np.concatenate([np.zeros((48, 200, 3), np.uint8), picture], axis=1)
    prompt = box_prompt(None, 70, 14, 90, 34)
    [prediction] = backend.predict(backend.embed(beside), [prompt], threshold=None)
    assert prediction.masks == ()
    assert "one value" in prediction.reason


def test_each_box_of_a_single_thing_gets_its_own_mask(backend, picture):
    twice = np.concatenate([picture, picture], axis=1)
    boxes = tuple(BoxPrompt(box=Box(x0=x + 30, y0=10, x1=x + 50, y1=30)) for x in (0, 64))
    prompt = Prompt(text="skin lesion", boxes=boxes)
    (answer,) = backend.predict(backend.embed(twice), [prompt], threshold=0.0)
    halves = sorted(bool(mask.mask[:, :64].any()) for mask in answer.masks)
    assert halves == [False, True]


@pytest.mark.parametrize("side", [1, 3, 8, 15])
@pytest.mark.parametrize("text", [None, "skin lesion", "nuclei"])
def test_a_box_between_the_pixel_centres_of_a_tiny_image_is_answered(backend, side, text):
    image = np.full((side, side, 3), 90, dtype=np.uint8)
    middle = side // 2
    low, high = (0.4, 0.6) if side == 1 else (middle - 0.1, middle + 0.1)
    prompt = box_prompt(text, low, low, high, high)
    (answer,) = backend.predict(backend.embed(image), [prompt], threshold=0.0)
    assert all(mask.mask.shape == (side, side) for mask in answer.masks)


def test_a_box_that_shows_less_ranks_no_higher_for_another_one_beside_it(backend, picture):
    embedding = backend.embed(picture)
    boxes = (30, 10, 50, 30), (0, 28, 20, 48)
    single = [box_prompt("skin lesion", *box) for box in boxes]
    both = Prompt(text="skin lesion", boxes=tuple(one.boxes[0] for one in single))
    *alone, together = backend.predict(embedding, [*single, both], threshold=0.0)
    joints = [mask.score * each.presence for each in alone for mask in each.masks]
    assert len({round(each.presence, 3) for each in alone}) == 2
    assert [mask.score * together.presence for mask in together.masks] == pytest.approx(
        sorted(joints, reverse=True), abs=1e-4
    )


def test_a_batch_answers_as_single_prompts_do(backend, picture):
    prompts = [
        Prompt(text="nuclei"),
        Prompt(text="left kidney"),
        box_prompt("nuclei", 30, 10, 50, 30),
        box_prompt(None, 30, 10, 50, 30),
        Prompt(text="polyp"),
    ]
    embedding = backend.embed(picture)
    batch = backend.predict(embedding, prompts, threshold=0.0)
    for prompt, together in zip(prompts, batch, strict=True):
        (alone,) = backend.predict(embedding, [prompt], threshold=0.0)
        assert together.concept == alone.concept
        assert together.presence == pytest.approx(alone.presence, abs=1e-4)
        assert len(together.masks) == len(alone.masks)
        for one, other in zip(together.masks, alone.masks, strict=True):
            assert dice(one.mask, other.mask) >= 0.999


def test_scores_are_shares_and_masks_have_the_images_size(backend, picture):
    prompts = [Prompt(text=name) for name in backend.capabilities.concepts]
    for answer in backend.predict(backend.embed(picture), prompts, threshold=0.0):
        assert 0 <= answer.presence <= 1
        for mask in answer.masks:
            assert mask.mask.shape == (48, 64)
            assert mask.mask.any()
            assert 0 <= mask.score <= 1
            assert 0 <= mask.stability <= 1


def test_a_mask_below_the_threshold_is_dropped_with_a_reason(backend, picture):
    prompt = box_prompt("skin lesion", 30, 10, 50, 30)
    (answer,) = backend.predict(backend.embed(picture), [prompt], threshold=1.0)
    assert answer.masks == ()
    assert answer.known
    assert "below the threshold 1.00" in answer.reason


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (
            Prompt(
                text="polyp",
                boxes=(BoxPrompt(box=Box(x0=1, y0=1, x1=9, y1=9), label="negative"),),
            ),
            "no negative boxes",
        ),
        (box_prompt("polyp", 100, 10, 120, 30), "outside the 64 x 48 image"),
    ],
    ids=["negative", "off the image"],
)
def test_a_box_the_model_cannot_use_is_refused(backend, picture, prompt, words):
    embedding = backend.embed(picture)
    with pytest.raises(InvalidPrompt, match=words):
        backend.predict(embedding, [prompt], threshold=None)


def test_an_embedding_tells_its_size(backend, picture):
    embedding = backend.embed(picture)
    promised = backend.embedding_bytes(embedding)
    backend.predict(embedding, [Prompt(text="skin lesion")], threshold=0.0)
    held = sum(level.nbytes for level in embedding.levels[False])
    assert promised == 2 * held + 48 * 64 * 3


# What is shipped


def test_the_shipped_graphs_are_small():
    sizes = [path.stat().st_size for path in WEIGHTS.glob("*.onnx")]
    assert len(sizes) == 2
    assert sum(sizes) <= MAX_BYTES


def test_the_shipped_metadata_know_every_trained_concept_and_the_training_record_its_data(backend):
    metadata = CompactMetadata.model_validate_json((WEIGHTS / METADATA).read_bytes())
    assert [card.name for card in metadata.concepts] == [each.name for each in CONCEPTS]
    assert 0 < metadata.threshold < 1
    record = json.loads((WEIGHTS / "training.json").read_text(encoding="utf-8"))
    assert {"data_sha256", "stages", "steps", "training_minutes", "views"} <= set(record)
    assert backend.capabilities.model.weights_sha256 == metadata.weights_sha256


def test_graphs_that_do_not_belong_to_the_metadata_are_refused(tmp_path):
    for path in WEIGHTS.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "decoder.onnx").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"decoder\.onnx has sha256"):
        CompactBackend(tmp_path)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"needs the image data in {DATA}")
@pytest.mark.parametrize("dataset", sorted(FLOORS))
def test_the_shipped_weights_segment_a_slice_of_the_test_split(backend, dataset):
    concept, text_floor, box_floor = FLOORS[dataset]
    rows = [row for row in read_rows(DATA, "test", [dataset]) if row.concept == concept][::9][:12]
    found = [each for each in outcomes(backend, rows) if each.has_target]
    for kind, floor in (("T", text_floor), ("T+I", box_floor)):
        assert np.mean([each.dice for each in found if each.kind == kind]) >= floor
