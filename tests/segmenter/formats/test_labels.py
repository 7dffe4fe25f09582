"""Label pictures come back number by number; a window would change them."""

import numpy as np
import pytest
from PIL import Image

from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.raster.image import read_labels
from tests.segmenter.formats.build import picture, save

NUMBERS = np.array([[0, 1, 2], [300, 65535, 0]], dtype=np.uint16)


@pytest.mark.parametrize("name", ["png", "tiff"])
def test_sixteen_bit_numbers_come_back_as_stored(name):
    read = read_labels(save(Image.fromarray(NUMBERS), name))
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, NUMBERS)


def test_eight_and_one_bit_numbers_come_back_as_stored():
    grey = np.array([[0, 1], [255, 7]], dtype=np.uint8)
    np.testing.assert_array_equal(read_labels(save(Image.fromarray(grey), "png")), grey)
    bits = np.array([[True, False], [False, True]])
    np.testing.assert_array_equal(read_labels(save(Image.fromarray(bits), "png")), bits)


def test_colour_is_no_label_picture():
    with pytest.raises(UnsupportedImage, match="'RGB'"):
        read_labels(save(Image.fromarray(picture()), "png"))


@pytest.mark.parametrize("value", [-1, 65536, 1.5], ids=["negative", "too large", "a fraction"])
def test_numbers_that_are_no_labels_are_refused(value):
    kind = np.float32 if isinstance(value, float) else np.int32
    stored = np.array([[0, value]], dtype=kind)
    with pytest.raises(UnsupportedImage, match="whole numbers"):
        read_labels(save(Image.fromarray(stored), "tiff"))


def test_a_cut_file_is_broken():
    content = save(Image.fromarray(NUMBERS), "png")
    with pytest.raises(BrokenImage):
        read_labels(content[: len(content) - 20])
