"""What a model does not offer is refused by name, before anything runs."""

import numpy as np
import pytest

from segmenter.contract import (
    Capabilities,
    ImageRef,
    ModelInfo,
    PointPrompt,
    Prompt,
    Rle,
    SegmentRequest,
)
from segmenter.errors import InvalidPrompt
from segmenter.masks import rle
from segmenter.prompt_checks import check_asked

REF = ImageRef(sha256="ab" * 32, width=4, height=3, format="png")
MODEL = ModelInfo(kind="double", weights_id="w", weights_sha256="0" * 64)
WORDS = Capabilities(
    model=MODEL, concepts=None, prompts=("text",), negative_boxes=False, threshold=0.5
)
ALL = WORDS.model_copy(
    update={
        "prompts": ("text", "box", "point", "mask"),
        "adapters": ("medsam3", "base"),
        "postprocess": ("sam3", "medsam3"),
    }
)
HERE = Prompt(points=(PointPrompt(x=1, y=1),), kind="object")
DRAWN = Prompt(mask=rle.encode(np.ones((3, 4), dtype=bool)), kind="object")


def asked(*prompts: Prompt, **options: str) -> SegmentRequest:
    return SegmentRequest(image=REF, prompts=prompts or (Prompt(text="mass"),), **options)


@pytest.mark.parametrize(
    "request_",
    [
        asked(),
        asked(HERE, DRAWN, Prompt(text="mass")),
        asked(adapter="base", postprocess="medsam3"),
        asked(Prompt(points=(PointPrompt(x=4, y=3),), kind="object")),
    ],
)
def test_what_is_offered_passes(request_):
    check_asked(request_, ALL)


@pytest.mark.parametrize(
    ("request_", "field", "words"),
    [
        (asked(adapter="base"), "adapter", "no adapter 'base'; it has none"),
        (asked(postprocess="medsam3"), "postprocess", "'medsam3'; it has sam3"),
        (asked(HERE), "points", "takes no points"),
        (asked(DRAWN), "mask", "takes no masks"),
    ],
)
def test_what_is_not_offered_is_named(request_, field, words):
    with pytest.raises(InvalidPrompt, match=words) as caught:
        check_asked(request_, WORDS)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("prompt", "field", "words"),
    [
        (Prompt(points=(PointPrompt(x=4.5, y=1),), kind="object"), "points", "outside the 4 x 3"),
        (Prompt(points=(PointPrompt(x=1, y=-1),), kind="object"), "points", "outside the 4 x 3"),
        (Prompt(mask=Rle(size=(4, 3), counts="<"), kind="object"), "mask", "rows and columns"),
    ],
)
def test_what_does_not_fit_the_image_is_named(prompt, field, words):
    with pytest.raises(InvalidPrompt, match=words) as caught:
        check_asked(asked(prompt), ALL)
    assert caught.value.field == field
