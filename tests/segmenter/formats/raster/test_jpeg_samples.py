from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from benchmarks.intake.inputs.encoded import bare, jpeg
from segmenter.errors import BrokenImage
from segmenter.formats.raster.jpeg_samples import jpeg_samples

NOISE = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)


def encoded(pixels: np.ndarray, **options: object) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", **options)
    return stream.getvalue()


def test_samples_are_those_of_the_stream_whatever_its_markers_say() -> None:
    as_stored = np.asarray(Image.open(BytesIO(jpeg("rgb"))))
    assert np.array_equal(jpeg_samples(jpeg("rgb")), as_stored)
    assert np.array_equal(jpeg_samples(bare(jpeg("rgb"), 0xE0, 0xEE)), as_stored)
    ycbcr = Image.open(BytesIO(jpeg()))
    ycbcr.draft("YCbCr", ycbcr.size)
    assert np.array_equal(jpeg_samples(jpeg()), np.asarray(ycbcr))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_frame_without_its_end_marker_is_whole_and_a_shorter_one_is_not(
    subsampling: int, progressive: bool
) -> None:
    frame = encoded(NOISE, subsampling=subsampling, progressive=progressive)
    whole = jpeg_samples(frame)
    assert np.array_equal(jpeg_samples(frame[:-2]), whole)
    for cut in (3, 40, 400):
        with pytest.raises(BrokenImage, match="cut short"):
            jpeg_samples(frame[: -2 - cut] + b"\xff\xd9")


def test_a_picture_of_one_colour_is_whole() -> None:
    assert jpeg_samples(encoded(np.full((33, 17), 77, np.uint8))).mean() == 77
