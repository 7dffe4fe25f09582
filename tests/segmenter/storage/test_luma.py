"""Brightness of pictures."""

import numpy as np
from PIL import Image

from segmenter.storage.luma import luma


def test_grey_keeps_its_level_exactly():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    found = luma(np.repeat(levels[:, :, None], 3, axis=2))
    assert found.unit == "grey level"
    assert np.array_equal(found.pixels, levels)


def test_colours_are_as_bright_as_pillow_says():
    pixels = np.random.default_rng(0).integers(0, 256, (600, 20, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(pixels).convert("L"), np.float32)
    assert np.abs(luma(pixels).pixels - expected).max() <= 0.51
