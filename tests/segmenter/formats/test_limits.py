import pytest

from segmenter.errors import BrokenImage, ImageTooLarge, UnsupportedImage
from segmenter.formats.limits import Limits, check_bytes, check_size

SMALL = Limits(max_bytes=10, max_pixels=100, max_side=50)


def test_an_upload_at_the_limit_passes_and_one_byte_more_does_not() -> None:
    check_bytes(bytes(10), SMALL)
    with pytest.raises(ImageTooLarge, match="11 bytes, over the limit of 10"):
        check_bytes(bytes(11), SMALL)


def test_an_empty_upload_is_no_image() -> None:
    with pytest.raises(UnsupportedImage, match="empty"):
        check_bytes(b"", SMALL)


@pytest.mark.parametrize("size", [(10, 10), (50, 2), (1, 1)])
def test_a_size_within_the_limits_passes(size: tuple[int, int]) -> None:
    check_size(*size, SMALL)


@pytest.mark.parametrize("size", [(10, 11), (51, 1), (1, 51)])
def test_a_size_over_a_limit_is_too_large(size: tuple[int, int]) -> None:
    with pytest.raises(ImageTooLarge):
        check_size(*size, SMALL)


@pytest.mark.parametrize("size", [(0, 10), (10, 0), (-1, 10)])
def test_a_picture_without_pixels_is_broken(size: tuple[int, int]) -> None:
    with pytest.raises(BrokenImage):
        check_size(*size, SMALL)
