"""Mirrored readings, tiles and the second look: drawn by hand, and on the bundled weights."""

import json
import shutil

import numpy as np
import pytest

from segmenter.backends.compact.backend import WEIGHTS, CompactBackend
from segmenter.backends.compact.sampling import Rect, whole
from segmenter.backends.compact.views import (
    OUTSIDE,
    Decoded,
    Plan,
    Seen,
    View,
    draw,
    fuller,
    take,
)
from segmenter.backends.compact.views import tile_rects as rects_of
from segmenter.contract import Box, BoxPrompt, Prompt
from segmenter.masks.geometry import mask_iou

SHAPE = (40, 60)


def backend_with(tmp_path, **flags):
    """The bundled weights with every concept looked at in one way."""
    folder = tmp_path / "weights"
    shutil.copytree(WEIGHTS, folder)
    path = folder / "metadata.json"
    metadata = json.loads(path.read_text())
    looks = ("mirror", "tiles", "second_look", "mirror_boxed", "rebox")
    plain = dict.fromkeys(looks, False)
    metadata["concepts"] = [card | plain | flags for card in metadata["concepts"]]
    path.write_text(json.dumps(metadata))
    return CompactBackend(folder)


@pytest.fixture(scope="module")
def picture():
    """A dark blot off the middle of noisy skin: uint8, shape (120, 160, 3)."""
    rows, columns = np.mgrid[:120, :160]
    blot = ((rows - 50) / 18) ** 2 + ((columns - 60) / 26) ** 2 < 1
    noise = np.random.default_rng(3).integers(0, 14, (120, 160, 1))
    skin = np.array([200, 160, 140]) - blot[..., None] * np.array([120, 110, 100])
    return (skin + noise).astype(np.uint8)


def lesion(backend, picture):
    embedding = backend.embed(picture)
    (answer,) = backend.predict(embedding, [Prompt(text="skin lesion")], threshold=0.0)
    return answer


def decoded(rect, value, box=None):
    return Decoded(View(0, box, rect), np.full((8, 8), value, dtype=np.float32), 0.0)


def test_tiles_cover_the_picture_and_overlap():
    seen = np.zeros(SHAPE, dtype=int)
    for rect in rects_of(SHAPE):
        assert rect.x >= 0
        assert rect.x + rect.width <= SHAPE[1] + 1e-9
        rows = slice(round(rect.y), round(rect.y + rect.height))
        seen[rows, round(rect.x) : round(rect.x + rect.width)] += 1
    assert seen.min() == 1
    assert seen[20, 30] == 4


def test_tiles_replace_the_base_and_are_averaged_where_they_overlap():
    tiles = tuple(
        decoded(rect, value) for rect, value in zip(rects_of(SHAPE), (1, 2, 3, 6), strict=True)
    )
    (logits,) = draw(Seen(decoded(whole(SHAPE), -5.0), tiles, ()), SHAPE)
    assert logits[0, 0] == 1
    assert logits[39, 59] == 6
    assert logits[20, 30] == pytest.approx(3.0)


def test_a_second_look_is_averaged_with_the_base_where_it_sees():
    second = decoded(Rect(10.0, 10.0, 20.0, 20.0), 4.0)
    (logits,) = draw(Seen(decoded(whole(SHAPE), -1.0), (), (), second), SHAPE)
    assert logits[20, 20] == pytest.approx(1.5)
    assert logits[35, 50] == -1


def test_boxes_without_a_base_give_a_mask_each():
    boxed = (decoded(Rect(0.0, 0.0, 8.0, 8.0), 2.0), decoded(Rect(20.0, 20.0, 8.0, 8.0), 3.0))
    first, second = draw(Seen(None, (), boxed), SHAPE)
    assert first[4, 4] == 2
    assert first[24, 24] == OUTSIDE
    assert second[24, 24] == 3


def test_answers_are_taken_in_the_order_of_the_views():
    box = Box(x0=0, y0=0, x1=5, y1=5)
    base = View(0, None, whole(SHAPE))
    tiles = tuple(View(0, None, rect) for rect in rects_of(SHAPE))
    plan = Plan(base, tiles, (View(0, box, whole(SHAPE)),))
    answers = [Decoded(view, np.zeros((2, 2), np.float32), n) for n, view in enumerate(plan.views)]
    seen = take(plan, iter(answers))
    assert seen.base.presence == 0
    assert [tile.presence for tile in seen.tiles] == [1, 2, 3, 4]
    assert [each.presence for each in seen.judges] == [0, 5]


def test_a_mirrored_reading_answers_mirror_images_alike(tmp_path, picture):
    backend = backend_with(tmp_path, mirror=True)
    turned = np.ascontiguousarray(picture[:, ::-1])
    plain, mirrored = lesion(backend, picture), lesion(backend, turned)
    assert mirrored.presence == pytest.approx(plain.presence, abs=1e-4)
    differing = plain.masks[0].mask != mirrored.masks[0].mask[:, ::-1]
    assert differing.mean() < 1e-3
    alone = backend_with(tmp_path / "alone", mirror=False)
    difference = lesion(alone, picture).presence - lesion(alone, turned).presence
    assert abs(difference) > 1e-6


@pytest.mark.parametrize("look", ["tiles", "second_look"])
def test_a_closer_look_draws_another_mask_of_the_same_thing(tmp_path, picture, look):
    plain = lesion(backend_with(tmp_path / "plain"), picture)
    closer = lesion(backend_with(tmp_path / "closer", **{look: True}), picture)
    assert closer.presence == plain.presence
    assert (closer.masks[0].mask != plain.masks[0].mask).any()


def test_a_mirrored_batch_answers_as_single_prompts_do(tmp_path, picture):
    backend = backend_with(tmp_path, mirror=True, second_look=True)
    prompts = [Prompt(text=text) for text in ("skin lesion", "polyp", "nuclei")]
    together = backend.predict(backend.embed(picture), prompts, threshold=0.0)
    for prompt, answer in zip(prompts, together, strict=True):
        (single,) = backend.predict(backend.embed(picture), [prompt], threshold=0.0)
        assert answer.presence == pytest.approx(single.presence, abs=1e-4)
        for ours, theirs in zip(answer.masks, single.masks, strict=True):
            assert (ours.mask != theirs.mask).mean() < 1e-3


# Around the blot of the picture, half-open xyxy.
TIGHT = Box(x0=34, y0=32, x1=86, y1=68)
ROUGH = Box(x0=34, y0=20, x1=104, y1=68)


def in_box(backend, picture, box):
    prompt = Prompt(text="skin lesion", boxes=(BoxPrompt(box=box),))
    (answer,) = backend.predict(backend.embed(picture), [prompt], threshold=0.0)
    return answer


def mirrored_box(box, width):
    return Box(x0=width - box.x1, y0=box.y0, x1=width - box.x0, y1=box.y1)


def test_a_mirrored_box_view_answers_mirror_images_alike(tmp_path, picture):
    backend = backend_with(tmp_path, mirror_boxed=True)
    turned = np.ascontiguousarray(picture[:, ::-1])
    plain = in_box(backend, picture, ROUGH)
    mirrored = in_box(backend, turned, mirrored_box(ROUGH, picture.shape[1]))
    assert mirrored.presence == pytest.approx(plain.presence, abs=1e-4)
    assert (plain.masks[0].mask != mirrored.masks[0].mask[:, ::-1]).mean() < 1e-3


def test_a_rough_box_is_replaced_by_the_one_around_what_it_gave(tmp_path, picture):
    rows, columns = np.mgrid[:120, :160]
    blot = ((rows - 50) / 18) ** 2 + ((columns - 60) / 26) ** 2 < 1
    kept = in_box(backend_with(tmp_path / "kept"), picture, ROUGH)
    better = in_box(backend_with(tmp_path / "better", rebox=True), picture, ROUGH)
    assert mask_iou(better.masks[0].mask, blot) > mask_iou(kept.masks[0].mask, blot)


def test_a_box_that_fits_is_kept(tmp_path, picture):
    kept = in_box(backend_with(tmp_path / "kept"), picture, TIGHT)
    same = in_box(backend_with(tmp_path / "same", rebox=True), picture, TIGHT)
    assert (same.masks[0].mask == kept.masks[0].mask).all()


def test_a_second_look_that_finds_nothing_does_not_count():
    first, nothing = decoded(whole(SHAPE), 1.0), decoded(whole(SHAPE), -1.0)
    assert fuller(first, nothing) is first
    assert fuller(nothing, first) is first
