"""What a caller chooses is used, or refused with the name of its field."""

import io

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from segmenter.errors import InvalidPrompt
from segmenter.formats.decoded import Window
from segmenter.formats.frames import ReadOptions
from segmenter.formats.limits import Limits
from segmenter.formats.sequences import open_frames
from tests.segmenter.formats.build import save


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (ReadOptions(series="2"), "series"),
        (ReadOptions(volume=2), "volume"),
        (ReadOptions(preset="lung"), "preset"),
    ],
)
def test_a_choice_that_a_clip_does_not_have_is_refused(options: ReadOptions, field: str) -> None:
    page = Image.new("L", (4, 4))
    clip = save(page, "gif", save_all=True, append_images=[Image.new("L", (4, 4), 9)])
    with pytest.raises(InvalidPrompt) as refused:
        open_frames(clip, Limits(), options)
    assert refused.value.field == field
    assert open_frames(clip, Limits(), ReadOptions(volume=1)).count == 2


def test_a_series_is_chosen_among_dicom_files_alone() -> None:
    content = nibabel.Nifti1Image(np.zeros((4, 5, 3), np.int16), np.eye(4)).to_bytes()
    with pytest.raises(InvalidPrompt) as refused:
        open_frames(content, Limits(), ReadOptions(series="1"))
    assert refused.value.field == "series"


def test_a_grey_window_that_colours_do_not_have_is_told() -> None:
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((2, 4, 5, 3), np.uint8), photometric="rgb")
    frames = open_frames(stream.getvalue(), Limits(), ReadOptions(window=Window(40, 400)))
    assert frames.rendering == "window not applied: it is of grey volumes"
    with pytest.raises(InvalidPrompt) as refused:
        open_frames(stream.getvalue(), Limits(), ReadOptions(preset="lung"))
    assert refused.value.field == "preset"
