import pytest

from benchmarks.drift import (
    COMMAND,
    DATA,
    STORED,
    Figures,
    choose_images,
    load,
    main,
    measure_samples,
    measure_sets,
    moved,
    summarise,
)
from segmenter.backends.compact.backend import CompactBackend
from segmenter.training.ask import Outcome
from segmenter.training.dataset import Row


@pytest.fixture(scope="module")
def backend():
    return CompactBackend()


def require_stored_for(backend):
    weights_id = backend.capabilities.model.weights_id
    assert load().weights_id == weights_id, (
        f"{STORED.name} has figures of {load().weights_id!r}, the weights are {weights_id!r}: "
        f"run {COMMAND} and look at what changed"
    )


def test_the_shipped_samples_are_answered_as_stored(backend):
    require_stored_for(backend)
    assert moved(load().samples, measure_samples(backend)) == []


def test_a_slice_of_the_test_split_is_answered_as_stored(backend):
    require_stored_for(backend)
    missing = [name for name in load().images if not (DATA / name / "manifest.csv").exists()]
    if missing:
        pytest.skip(f"no data of {', '.join(missing)} in {DATA}: only the samples were checked")
    assert moved(load().sets, measure_sets(backend, DATA, load().images)) == []


def figures(text=0.5, boxed=None, specificity=1.0, foreign=None):
    return Figures(text=text, boxed=boxed, specificity=specificity, foreign=foreign)


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        ({"a": figures(text=0.509)}, []),
        ({"a": figures(text=0.52)}, ["a text: stored 0.5, now 0.52"]),
        ({"a": figures(boxed=0.9)}, ["a boxed: stored None, now 0.9"]),
        ({}, ["a: only stored"]),
        ({"a": figures(), "b": figures()}, ["b: only found"]),
    ],
    ids=["rounding", "moved", "new figure", "lost set", "new set"],
)
def test_what_moved_is_named(found, lines):
    assert moved({"a": figures()}, found) == lines


def row(name, number, mask=True):
    path = DATA / "any"
    return Row(name, f"{name}_{number}", "polyp", "test", "g", path, path if mask else None)


def outcome(kind="T", *, has_target=True, dice=0.0, found=True, mask=True):
    return Outcome(row("a", 1, mask), kind, has_target, dice, 0.5, 0.5, found)


def test_figures_count_targets_absences_and_other_modalities_apart():
    found = [
        outcome(dice=0.5),
        outcome(dice=0.0, found=False),
        outcome("T+I", dice=0.75),
        outcome(has_target=False, found=True),
        outcome(has_target=False, found=False),
        outcome(has_target=False, found=False, mask=False),
    ]
    assert summarise(found) == Figures(text=0.25, boxed=0.75, specificity=0.5, foreign=1.0)


def test_the_slice_does_not_depend_on_the_order_of_the_rows():
    rows = [row("busi", number) for number in range(20)] + [row("drive", 1), row("drive", 2)]
    chosen = choose_images(rows)
    assert chosen == choose_images(reversed(rows))
    assert [len(ids) for ids in chosen.values()] == [6, 2]


def test_a_missing_image_is_an_error_not_a_smaller_slice(backend, tmp_path):
    (tmp_path / "busi").mkdir()
    head = "id,image,mask,concept,split,group\n"
    (tmp_path / "busi" / "manifest.csv").write_text(head, encoding="utf-8")
    with pytest.raises(ValueError, match="busi_7"):
        measure_sets(backend, tmp_path, {"busi": ("busi_7",)})


def test_the_command_tells_of_missing_data(tmp_path):
    with pytest.raises(FileNotFoundError):
        main(["--data", str(tmp_path)])
