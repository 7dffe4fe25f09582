"""Data, questions, matching and losses of fine-tuning, against cases worked out by hand."""

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")
pytest.importorskip("peft", reason="SAM 3 needs the extra 'sam3'")

from PIL import Image  # noqa: E402

from segmenter.contract import Box  # noqa: E402
from segmenter.masks import rle  # noqa: E402
from segmenter.training.dataset import Row  # noqa: E402
from segmenter.training.sam3.coco import read_coco, to_mask  # noqa: E402
from segmenter.training.sam3.data import Annotated, from_rows, to_phrase  # noqa: E402
from segmenter.training.sam3.detector import Answers  # noqa: E402
from segmenter.training.sam3.loop import to_target  # noqa: E402
from segmenter.training.sam3.losses import (  # noqa: E402
    Target,
    box_terms,
    classification_loss,
    detector_losses,
    mask_terms,
    presence_loss,
)
from segmenter.training.sam3.matching import Match, match  # noqa: E402
from segmenter.training.sam3.prompts import epoch_queries, moved_box  # noqa: E402
from segmenter.training.sam3.settings import (  # noqa: E402
    CONFIGS,
    DataSettings,
    LossSettings,
    OptimizerSettings,
    load_sam3_settings,
)
from segmenter.training.sam3.state import rate_at  # noqa: E402

WEIGHTS = LossSettings()
PAIR = Match(torch.tensor([0]), torch.tensor([0]))


# Phrases and data.


@pytest.mark.parametrize(
    ("words", "phrase"),
    [("Breast  Tumor", "breast tumor"), ("optic_cup", "optic cup"), ("left lung lobe",) * 2],
)
def test_a_phrase_is_lower_case_and_of_three_words_at_most(words, phrase):
    assert to_phrase(words) == phrase


@pytest.mark.parametrize("words", ["", "  ", "a mass in the breast"])
def test_other_phrases_are_refused_with_their_words(words):
    with pytest.raises(ValueError, match="1 to 3"):
        to_phrase(words)


def test_pieces_of_a_mask_are_objects(tmp_path: Path):
    mask = np.zeros((20, 30), dtype=np.uint8)
    mask[2:8, 2:8] = mask[10:18, 12:20] = 255
    mask[0, 29] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    row = Row("s", "1", "optic cup", "train", "g", tmp_path / "x.png", tmp_path / "m.png")
    [picture] = from_rows([row], {"optic cup": "pale cup"})
    # The single pixel is noise.
    assert [int(rle.decode(each).sum()) for each in picture.objects["pale cup"]] == [36, 64]


def coco(folder: Path, annotations: list[dict]) -> Path:
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (6, 4)).save(folder / name)
    images = [
        {"id": n, "file_name": f, "height": 4, "width": 6} for n, f in ((1, "a.png"), (2, "b.png"))
    ]
    table = {
        "images": images,
        "categories": [{"id": 7, "name": "Mass"}, {"id": 8, "name": "cyst"}],
        "annotations": annotations,
    }
    (folder / "_annotations.coco.json").write_text(json.dumps(table))
    return folder


def test_coco_polygons_and_run_lengths_are_read(tmp_path: Path):
    square = np.zeros((4, 6), dtype=bool)
    square[1:3, 2:5] = True
    packed = {"size": [4, 6], "counts": rle.encode(square).counts}
    runs = {"size": [4, 6], "counts": [9, 2, 2, 2, 2, 2, 5]}
    folder = coco(
        tmp_path / "train",
        [
            {"image_id": 1, "category_id": 7, "segmentation": [[2, 1, 4, 1, 4, 2, 2, 2]]},
            {"image_id": 1, "category_id": 7, "segmentation": packed},
            {"image_id": 1, "category_id": 8, "segmentation": runs},
        ],
    )
    first, second = read_coco(folder, {})
    for masks in first.objects.values():
        for each in masks:
            assert (rle.decode(each) == square).all()
    assert [len(first.objects[name]) for name in ("mass", "cyst")] == [2, 1]
    # Nothing annotated: both were looked for and are not there.
    assert second.objects == {"mass": (), "cyst": ()}


def test_coco_data_that_cannot_be_used_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="no COCO annotations"):
        read_coco(tmp_path, {})
    folder = coco(tmp_path / "train", [])
    (folder / "b.png").unlink()
    with pytest.raises(ValueError, match=r"'b\.png'"):
        read_coco(folder, {})
    with pytest.raises(ValueError, match="add up to 4 x 6"):
        to_mask({"counts": [3, 4]}, 4, 6)


# Questions.


def pictures(count: int) -> list[Annotated]:
    mask = np.zeros((40, 60), dtype=bool)
    mask[10:20, 20:40] = True
    found = (rle.encode(mask),)
    return [
        Annotated(Path(f"{n}.png"), {"mass": found} if n % 2 else {"mass": found, "cyst": ()})
        for n in range(count)
    ]


def test_an_epoch_asks_for_what_is_there_and_for_what_is_not():
    settings = DataSettings(boxed=0.5, negatives=2, absent=("polyp", "nodule"))
    queries = epoch_queries(pictures(200), settings, seed=1, epoch=0)
    present = [query for query in queries if query.phrase == "mass"]
    absent = [query for query in queries if query.phrase != "mass"]
    assert len(present) == 200
    assert len(absent) == 400
    assert {query.phrase for query in absent} == {"polyp", "nodule", "cyst"}
    assert all(query.box is None for query in absent)
    boxed = [query for query in present if query.box is not None]
    assert 70 < len(boxed) < 130
    for query in boxed:
        assert query.box is not None
        # The object is 20 x 10 from (20, 10); a side moves by 10 % of that.
        assert abs(query.box.x0 - 20) <= 2
        assert abs(query.box.y1 - 20) <= 1


def test_an_epoch_follows_from_seed_and_number_alone():
    settings = DataSettings(absent=("polyp", "nodule"))
    first = epoch_queries(pictures(20), settings, seed=1, epoch=3)
    assert first == epoch_queries(pictures(20), settings, seed=1, epoch=3)
    assert first != epoch_queries(pictures(20), settings, seed=1, epoch=4)
    assert first != epoch_queries(pictures(20), settings, seed=2, epoch=3)


def test_a_box_without_jitter_stays():
    box = Box(x0=1, y0=2, x1=3, y1=4)
    assert moved_box(box, 0.0, random.Random(0)) == box


def test_objects_come_at_the_size_of_the_models_masks():
    target = to_target(pictures(1)[0], "mass", 20, torch.device("cpu"))
    # Columns 20 to 40 of 60, rows 10 to 20 of 40.
    assert torch.allclose(target.boxes, torch.tensor([[0.5, 0.375, 1 / 3, 0.25]]))
    assert target.masks.shape == (1, 20, 20)
    rows, columns = target.masks[0].nonzero().T
    assert (rows.min(), rows.max()) == (5, 9)
    assert (columns.min(), columns.max()) == (7, 12)
    assert to_target(pictures(1)[0], "cyst", 20, torch.device("cpu")).boxes.shape == (0, 4)


# Boxes and matching.


def test_overlaps_of_boxes():
    # Corners (0, 0, 2, 2), (1, 1, 3, 3) and (3, 0, 4, 2).
    first = torch.tensor([[1.0, 1.0, 2.0, 2.0]])
    second = torch.tensor([[2.0, 2.0, 2.0, 2.0]])
    apart = torch.tensor([[3.5, 1.0, 1.0, 2.0]])
    plain = LossSettings(box_l1=1.0, box_giou=1.0)
    near, far = (box_terms(first, other, PAIR, plain, 1) for other in (second, apart))
    # Hull of 9, union of 7.
    assert float(near["box_giou"]) == pytest.approx(1 - (1 / 7 - 2 / 9))
    # Hull of 8, union of 6, nothing shared.
    assert float(far["box_giou"]) == pytest.approx(1 + 2 / 8)
    assert (float(near["box_l1"]), float(far["box_l1"])) == (2.0, 3.5)


def test_the_nearest_and_surest_query_answers_for_an_object():
    boxes = torch.tensor([[0.2, 0.2, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2]])
    targets = torch.tensor([[0.7, 0.7, 0.2, 0.2], [0.2, 0.25, 0.2, 0.2]])
    pairs = match(torch.tensor([0.0, -2.0, 2.0]), boxes, targets, WEIGHTS)
    found = dict(zip(pairs.objects.tolist(), pairs.queries.tolist(), strict=True))
    assert found == {0: 2, 1: 0}


def test_two_objects_never_share_a_query():
    """The first query is best for both; together it is cheaper to give the second one the other."""
    boxes = torch.tensor([[0.5, 0.5, 0.2, 0.2], [0.9, 0.9, 0.1, 0.1]])
    targets = torch.tensor([[0.5, 0.5, 0.2, 0.2], [0.52, 0.5, 0.2, 0.2]])
    pairs = match(torch.zeros(2), boxes, targets, WEIGHTS)
    assert sorted(pairs.queries.tolist()) == [0, 1]
    assert len(match(torch.zeros(2), boxes, torch.zeros(0, 4), WEIGHTS).queries) == 0


# Losses.


def test_a_matched_query_is_pulled_to_belief_and_overlap():
    """One query of probability 1/2 that overlaps by 1/3; one unmatched of probability 1/2."""
    boxes = torch.tensor([[0.5, 0.5, 0.2, 0.2], [0.1, 0.1, 0.1, 0.1]])
    targets = torch.tensor([[0.6, 0.5, 0.2, 0.2]])
    wanted = 0.5**0.25 * (1 / 3) ** 0.75
    # -(t ln p + (1 - t) ln(1 - p)) is ln 2 at p = 1/2, whatever t.
    expected = 10 * math.log(2) + 0.25 * math.log(2)
    logits = torch.zeros(2, requires_grad=True)
    loss = classification_loss(logits, boxes, targets, PAIR)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert logits.grad is not None
    assert float(logits.grad[0]) == pytest.approx(10 * (0.5 - wanted), rel=1e-4)
    assert float(logits.grad[1]) == pytest.approx(0.25 * 0.5, rel=1e-4)


def test_without_an_object_nothing_is_classified():
    nothing = Match(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    assert (
        float(classification_loss(torch.ones(3), torch.rand(3, 4), torch.zeros(0, 4), nothing)) == 0
    )


def test_presence_is_a_cross_entropy():
    logit = torch.tensor(2.0)
    assert float(presence_loss(logit, present=True)) == pytest.approx(math.log(1 + math.exp(-2)))
    assert float(presence_loss(logit, present=False)) == pytest.approx(
        2 + math.log(1 + math.exp(-2))
    )


def test_mask_losses_of_a_mask_that_knows_nothing():
    logits, wanted = torch.zeros(1, 2, 2), torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    # Each pixel: alpha x 1/4 x ln 2, alpha 1/4 inside and 3/4 outside.
    expected = (0.25 + 3 * 0.75) / 4 * 0.25 * math.log(2)
    found = mask_terms(logits, wanted, PAIR, LossSettings(mask_focal=1.0, mask_dice=1.0), 1)
    assert float(found["mask_focal"]) == pytest.approx(expected, rel=1e-5)
    # Shared 1/2, sums 2 and 1.
    assert float(found["mask_dice"]) == pytest.approx(1 - 2 / 4)


def answers(layers: int) -> Answers:
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(layers, 2, 5, generator=generator)
    boxes = torch.rand(layers, 2, 5, 4, generator=generator) * 0.4 + 0.2
    masks = torch.randn(2, 5, 6, 6, generator=generator)
    return Answers(logits, torch.randn(layers, 2, generator=generator), boxes, masks)


def test_every_layer_counts_and_masks_only_on_the_last():
    found = answers(3)
    target = Target(torch.tensor([[0.4, 0.4, 0.3, 0.3]]), torch.ones(1, 6, 6))
    targets = [target, Target(torch.zeros(0, 4), torch.zeros(0, 6, 6))]
    whole = detector_losses(found, targets, WEIGHTS)
    single = [
        detector_losses(
            Answers(
                found.logits[n : n + 1],
                found.presence[n : n + 1],
                found.boxes[n : n + 1],
                found.masks,
            ),
            targets,
            WEIGHTS,
        )
        for n in range(3)
    ]
    for name in ("classification", "presence", "box_l1", "box_giou"):
        parts = sum(float(getattr(each, name)) for each in single)
        assert float(getattr(whole, name)) == pytest.approx(parts, rel=1e-5)
    assert float(whole.mask_dice) == pytest.approx(float(single[2].mask_dice), rel=1e-5)
    assert float(whole.total) == pytest.approx(sum(map(float, whole[1:])), rel=1e-5)


# Settings and schedule.


def test_the_rate_rises_and_falls_as_a_cosine():
    settings = OptimizerSettings(learning_rate=1.0, warm_up=0.1)
    rates = [rate_at(step, 100, settings) for step in range(100)]
    assert rates[:10] == pytest.approx([(n + 1) / 11 for n in range(10)])
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates[99] < 0.001


@pytest.mark.parametrize("name", ["busi", "cup", "isic", "kvasir"])
def test_the_papers_four_sets_have_settings(name):
    settings = load_sam3_settings(Path(name))
    assert settings.data.sets
    assert (CONFIGS / f"{name}.toml").is_file()


def test_a_wrong_setting_is_named(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text("[optimizer]\nbatch = 0\n")
    with pytest.raises(ValueError, match=r"mine\.toml: optimizer\.batch"):
        load_sam3_settings(path)
    with pytest.raises(ValueError, match="busi"):
        load_sam3_settings(tmp_path / "other.toml")
