"""Fine-tuning SAM 3, on the tiny random model: what moves, what it learns, and going on."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")
pytest.importorskip("peft", reason="SAM 3 needs the extra 'sam3'")

from api.cli.main import main  # noqa: E402
from segmenter.backends.sam3.backend import Sam3Backend  # noqa: E402
from segmenter.backends.sam3.network import DetectorPrompt  # noqa: E402
from segmenter.backends.sam3.preprocess import to_pixels  # noqa: E402
from segmenter.backends.sam3.weights.load import load_network  # noqa: E402
from segmenter.contract import Prompt  # noqa: E402
from segmenter.formats.raster.image import encode_png  # noqa: E402
from segmenter.masks import rle  # noqa: E402
from segmenter.masks.geometry import dice  # noqa: E402
from segmenter.training.dataset import read_rows  # noqa: E402
from segmenter.training.sam3.cache import EncodedPictures  # noqa: E402
from segmenter.training.sam3.data import Annotated, from_rows, read_rgb, union  # noqa: E402
from segmenter.training.sam3.detector import TRAINED, Detector  # noqa: E402
from segmenter.training.sam3.loop import BEST, LAST, Tuning  # noqa: E402
from segmenter.training.sam3.settings import (  # noqa: E402
    DataSettings,
    LoraSettings,
    OptimizerSettings,
    RunSettings,
    Sam3Settings,
)
from tests.paths import SHARED  # noqa: E402
from tests.segmenter.backends.sam3.vectors import TINY, needs_vectors  # noqa: E402

pytestmark = needs_vectors
DATA = SHARED / "data"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[Annotated]:
    """Three pictures with a bright disc each, at another place and of another size."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    down, right = np.mgrid[0:60, 0:80]
    found = []
    for number, (row, column, radius) in enumerate(((20, 20, 11), (35, 55, 15), (30, 40, 8))):
        disc = (down - row) ** 2 + (right - column) ** 2 < radius**2
        pixels = rng.integers(0, 60, (60, 80, 3), dtype=np.uint8)
        pixels[disc] += 150
        path = folder / f"{number}.png"
        path.write_bytes(encode_png(pixels))
        found.append(Annotated(path, {"bright disc": (rle.encode(disc),)}))
    return found


def settings(trains: str = "full", **optimizer: object) -> Sam3Settings:
    return Sam3Settings(
        data=DataSettings(negatives=1, boxed=0.5, absent=("dark hole",)),
        lora=LoraSettings(rank=4, alpha=8.0),
        optimizer=OptimizerSettings.model_validate(
            {"learning_rate": 1e-3, "batch": 3, "epochs": 10, "clip_norm": 1.0, **optimizer}
        ),
        run=RunSettings(trains=trains, validate_every=5),
    )


def test_every_layer_answers_and_the_last_one_as_the_service_does(pictures):
    network = load_network(TINY)
    detector = Detector(network, None)
    detector.train(False)
    encoded = [
        network.encode(to_pixels(read_rgb(each), network.image_size)).clone() for each in pictures
    ]
    questions = [
        DetectorPrompt("mass"),
        DetectorPrompt("cyst"),
        DetectorPrompt("mass", ((0.5, 0.5, 0.2, 0.2),), (True,)),
    ]
    found = detector.answer(encoded, questions)
    assert found.logits.shape == (3, 3, 16)
    for row, question in enumerate(questions):
        single = network.detect(network.features(encoded[row]), [question])
        assert torch.allclose(found.logits[-1, row], single.logits[0], atol=1e-4)
        assert torch.allclose(found.presence[-1, row], single.presence[0], atol=1e-4)
        assert torch.allclose(found.masks[row], single.masks[0], atol=1e-3)
        centre, size = found.boxes[-1, row, :, :2], found.boxes[-1, row, :, 2:]
        corners = torch.cat([centre - size / 2, centre + size / 2], dim=-1)
        assert torch.allclose(corners, single.boxes[0], atol=1e-5)


@pytest.mark.parametrize("trains", ["full", "lora"])
def test_gradients_reach_the_detector_and_nothing_else(pictures, tmp_path, trains):
    tuning = Tuning(load_network(TINY), settings(trains), pictures, pictures, tmp_path)
    losses = tuning._losses(next(tuning._batches(0)))
    losses.total.backward()
    model = tuning.detector.network.model
    touched = {name for name, each in model.named_parameters() if each.grad is not None}
    moved = {name for name, each in model.named_parameters() if each.requires_grad}
    assert touched <= moved
    assert {name.split(".")[0] for name in touched} == set(TRAINED)
    assert not any(name.startswith(("vision_encoder", "text_")) for name in moved)
    assert all(("lora_" in name) is (trains == "lora") for name in moved)
    # Of a fresh adapter half is zero, so that nothing flows into the other half yet.
    reached = {name for name in touched if model.get_parameter(name).grad.abs().sum() > 0}
    assert len(reached) > len(moved) // 3


def curve(folder: Path) -> list[dict[str, str]]:
    with (folder / "losses.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("trains", ["full", "lora"])
def test_a_resumed_run_gives_the_same_curve(pictures, tmp_path, trains):
    asked = settings(trains, ema=0.9, accumulate=2, batch=2)
    whole = Tuning(load_network(TINY), asked, pictures, pictures, tmp_path / "whole")
    whole.run(steps=10)
    first = Tuning(load_network(TINY), asked, pictures, pictures, tmp_path / "parts")
    first.run(steps=5)
    second = Tuning(load_network(TINY), asked, pictures, pictures, tmp_path / "parts")
    torch.manual_seed(99)
    second.resume()
    second.run(steps=5)
    assert len(curve(tmp_path / "whole")) == 10
    assert curve(tmp_path / "whole") == curve(tmp_path / "parts")
    for name, value in whole.detector.parameters().items():
        assert torch.equal(value, second.detector.parameters()[name]), name
    for name, average in whole.state.average.items():
        assert torch.equal(average, second.state.average[name]), name


def test_another_run_cannot_go_on_from_a_checkpoint(pictures, tmp_path):
    Tuning(load_network(TINY), settings(), pictures, pictures, tmp_path).run(steps=1)
    other = Tuning(load_network(TINY), settings(), pictures[:2], pictures, tmp_path)
    with pytest.raises(ValueError, match="other data, weights or settings"):
        other.resume()
    with pytest.raises(ValueError, match=r"no checkpoint\.pt"):
        Tuning(load_network(TINY), settings(), pictures, pictures, tmp_path / "new").resume()


def mean_dice(backend: Sam3Backend, pictures: list[Annotated], phrase: str) -> float:
    scores = []
    for picture in pictures:
        image = read_rgb(picture)
        (answer,) = backend.predict(backend.embed(image), [Prompt(text=phrase)], threshold=None)
        found = np.zeros(image.shape[:2], dtype=bool)
        for mask in answer.masks:
            found |= mask.mask
        scores.append(dice(found, union(picture, phrase, image.shape[:2])))
    return float(np.mean(scores))


@pytest.mark.slow
@pytest.mark.parametrize("trains", ["full", "lora"])
def test_a_few_pictures_are_learned_and_the_worker_loads_the_result(pictures, tmp_path, trains):
    # At higher rates the last bits of a loss decide whether an adapter learns.
    rate, epochs = {"full": (1e-3, 120), "lora": (3e-3, 180)}[trains]
    asked = settings(trains, learning_rate=rate, epochs=epochs, batch=6, warm_up=0.02)
    asked = asked.model_copy(update={"run": asked.run.model_copy(update={"validate_every": 60})})
    network = load_network(TINY)
    for module in network.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    found = Tuning(network, asked, pictures, pictures, tmp_path).run()
    assert found.first < 0.2
    assert found.last > 0.7
    if trains == "lora":
        loaded = load_network(TINY, lora=tmp_path / LAST / "medsam3")
    else:
        loaded = load_network(tmp_path / LAST)
    backend = Sam3Backend(loaded, weights_id="tuned")
    assert mean_dice(backend, pictures, "bright disc") == pytest.approx(found.last, abs=1e-6)
    # What is not there was asked for too.
    image = read_rgb(pictures[0])
    (absent,) = backend.predict(backend.embed(image), [Prompt(text="dark hole")], threshold=None)
    (present,) = backend.predict(backend.embed(image), [Prompt(text="bright disc")], threshold=None)
    assert absent.presence < 0.5 < present.presence
    assert (tmp_path / BEST).is_dir()


def test_encodings_are_kept_within_their_bound(pictures, tmp_path):
    network = load_network(TINY)
    one = 144 * 64 * 2 + 200
    kept = EncodedPictures(network, tmp_path, limit_bytes=2 * one)
    first = kept.get(pictures[0])
    again = EncodedPictures(network, tmp_path, limit_bytes=2 * one).get(pictures[0])
    assert torch.equal(first, again)
    assert first.dtype == torch.bfloat16
    for picture in pictures[1:]:
        os.utime(next(tmp_path.glob("*.safetensors")), (1, 1))
        kept.get(picture)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_the_command_trains_and_tells(pictures, tmp_path, capsys):
    for split in ("train", "valid"):
        folder = tmp_path / "data" / split
        folder.mkdir(parents=True)
        images, notes = [], []
        for number, picture in enumerate(pictures):
            (folder / picture.path.name).write_bytes(picture.path.read_bytes())
            images.append({"id": number, "file_name": picture.path.name, "height": 60, "width": 80})
            [mask] = picture.objects["bright disc"]
            packed = {"size": [60, 80], "counts": mask.counts}
            notes.append({"image_id": number, "category_id": 1, "segmentation": packed})
        table = {
            "images": images,
            "annotations": notes,
            "categories": [{"id": 1, "name": "Bright Disc"}],
        }
        (folder / "_annotations.coco.json").write_text(json.dumps(table))
    config = tmp_path / "mine.toml"
    config.write_text('[optimizer]\nepochs = 1\nbatch = 3\n[run]\ntrains = "lora"\n')
    argv = ["train", "sam3", str(config), "--data", str(tmp_path / "data"), "--weights", str(TINY)]
    out = ["--out", str(tmp_path / "out")]
    assert main([*argv, *out], {}) == 0
    told = capsys.readouterr().err
    assert "3 pictures to learn from, 3 to measure on, 1 steps" in told
    assert "validation Dice by text" in told
    assert load_network(TINY, lora=tmp_path / "out" / BEST / "medsam3").adapters == (
        "medsam3",
        "base",
    )
    argv[2] = str(tmp_path / "none.toml")
    assert main([*argv, *out], {}) == 2
    assert "the package has busi" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason=f"needs the image data in {DATA}")
def test_sixteen_real_pictures_are_learned_by_heart(tmp_path):
    """Some three minutes: 16 breast ultrasound images, Dice from below 0.2 to above 0.9."""
    rows = read_rows(DATA, "train", ["busi"])
    real = [each for each in from_rows(rows, {}) if any(each.objects.values())][:16]
    asked = Sam3Settings(
        data=DataSettings(negatives=0, boxed=0.0),
        optimizer=OptimizerSettings(
            learning_rate=1e-3, batch=4, epochs=400, warm_up=0.02, clip_norm=1.0
        ),
        run=RunSettings(trains="full", validate_every=400),
    )
    network = load_network(TINY)
    for module in network.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    found = Tuning(network, asked, real, real, tmp_path).run()
    assert found.first < 0.2
    assert found.last > 0.9
