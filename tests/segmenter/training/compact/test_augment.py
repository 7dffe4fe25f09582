import numpy as np
import pytest

from segmenter.training.compact import augment
from segmenter.training.concepts import MODALITIES


@pytest.fixture
def scene():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    mask = np.zeros((40, 40), dtype=np.uint8)
    mask[10:20, 5:30] = 255
    return rgb, mask


def test_a_view_of_the_whole_picture_at_its_size_is_the_picture(scene):
    matrix = augment.view_matrix((20, 20), (40, 40), 40)
    rgb, target = augment.render(scene[0], scene[1], matrix, 40)
    np.testing.assert_array_equal(rgb, scene[0])
    np.testing.assert_array_equal(target, scene[1] // 255)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"mirror": True}, lambda pixels: pixels[:, ::-1]),
        ({"quarter": 2}, lambda pixels: pixels[::-1, ::-1]),
    ],
    ids=["mirror", "half turn"],
)
def test_picture_and_mask_turn_together(scene, arguments, expected):
    matrix = augment.view_matrix((20, 20), (40, 40), 40, **arguments)
    rgb, target = augment.render(scene[0], scene[1], matrix, 40)
    # A half turn is not exact in floating point: one grey level.
    np.testing.assert_allclose(rgb, expected(scene[0]), atol=1)
    np.testing.assert_array_equal(target, expected(scene[1]) // 255)


def test_a_view_beyond_the_picture_is_black_and_unmasked(scene):
    matrix = augment.view_matrix((-100, -100), (40, 40), 40)
    rgb, target = augment.render(scene[0], scene[1], matrix, 40)
    assert rgb.max() == 0
    assert target.max() == 0


def test_a_shrunk_view_averages_instead_of_skipping():
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 200
    matrix = augment.view_matrix((32, 32), (64, 64), 16)
    rgb, _ = augment.render(stripes, stripes[..., 0], matrix, 16)
    assert np.abs(rgb[2:-2, 2:-2].astype(int) - 100).max() <= 2


def test_only_what_is_in_the_box_is_kept(scene):
    kept = augment.keep_inside(scene[1], np.array([0, 0, 10, 15], dtype=np.float32))
    assert kept.sum() == 5 * 5 * 255


def test_the_tight_box_of_nothing_is_nothing():
    assert augment.tight_box(np.zeros((4, 4), dtype=np.uint8)) is None


def test_the_tight_box_is_half_open(scene):
    assert augment.tight_box(scene[1]).tolist() == [5, 10, 30, 20]


@pytest.mark.parametrize("seed", range(5))
def test_a_moved_box_stays_near_and_inside(seed):
    box = np.array([10, 20, 30, 60], dtype=np.float32)
    moved = augment.jitter(box, 0.25, 64, np.random.default_rng(seed))
    assert (np.abs(moved - box) <= np.array([5, 10, 5, 10]) + 1e-4).all()
    assert moved.min() >= 0
    assert moved.max() <= 64


def test_every_modality_says_which_turns_are_plausible():
    assert set(augment.TURNS) == set(MODALITIES.values())


def test_grey_modalities_stay_grey(scene):
    grey = np.repeat(scene[0][..., :1], 3, axis=2)
    for seed in range(20):
        lit = augment.relight(grey, "ultrasound", np.random.default_rng(seed))
        assert (lit == lit[..., :1]).all()


def test_a_bend_of_nothing_is_the_straight_view():
    rng = np.random.default_rng(5)
    rgb = rng.integers(0, 255, (90, 120, 3)).astype(np.uint8)
    mask = (rng.random((90, 120)) > 0.5).astype(np.uint8) * np.uint8(255)
    matrix = augment.view_matrix((60, 45), (100, 80), 64, degrees=10)
    straight, target = augment.render(rgb, mask, matrix, 64)
    flat = np.zeros((augment.CELLS + 1, augment.CELLS + 1, 2))
    bent, bent_target = augment.render(rgb, mask, matrix, 64, flat)
    assert np.abs(straight.astype(int) - bent).mean() < 1.0
    assert (target != bent_target).mean() < 0.02


def test_a_bend_moves_picture_and_target_together():
    rows, columns = np.mgrid[:128, :128]
    disc = (rows - 64) ** 2 + (columns - 64) ** 2 < 900
    rgb = np.repeat(disc[..., None] * np.uint8(200), 3, axis=2)
    matrix = augment.view_matrix((64, 64), (128, 128), 128)
    bend = np.random.default_rng(2).uniform(-8, 8, (augment.CELLS + 1, augment.CELLS + 1, 2))
    straight, _ = augment.render(rgb, disc.astype(np.uint8) * np.uint8(255), matrix, 128)
    seen, target = augment.render(rgb, disc.astype(np.uint8) * np.uint8(255), matrix, 128, bend)
    assert ((seen[..., 0] > 100) != target.astype(bool)).mean() < 0.01
    assert (seen != straight).any()


def test_bends_are_drawn_within_their_limit_and_not_always():
    rng = np.random.default_rng(0)
    drawn = [augment.draw_bend(rng) for _ in range(400)]
    bent = [each for each in drawn if each is not None]
    assert 0.25 < len(bent) / len(drawn) < 0.45
    assert max(float(np.abs(each).max()) for each in bent) <= augment.MAX_BEND
