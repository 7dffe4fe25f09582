import numpy as np
import pytest

from agent.language.lexicon import load_lexicon, normalise
from agent.language.modality import UNKNOWN, modality_of_tag, modality_of_words
from agent.planners.image_facts import measure, possible_modalities
from segmenter.contract import RgbImage

LEXICON = load_lexicon()
EVERYTHING = frozenset(LEXICON.file.modalities)


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("US", "ultrasound"),
        ("CR", "x-ray"),
        ("DX", "x-ray"),
        ("MR", "mri"),
        ("OP", "fundus"),
        ("ES", "endoscopy"),
        ("SM", "microscopy"),
        (" us ", "ultrasound"),
        ("ZZ", UNKNOWN),
        ("", UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_a_dicom_code_names_a_modality(tag: str | None, name: str) -> None:
    assert modality_of_tag(tag, LEXICON) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("the mass on this sonogram", "ultrasound"),
        ("chest X-ray", "x-ray"),
        ("CXR", "x-ray"),
        ("brain MRI, FLAIR", "mri"),
        ("fundus photograph", "fundus"),
        ("colonoscopy", "endoscopy"),
        ("H&E slide", "microscopy"),
        ("OCT of the macula", "oct"),
        ("outline the polyp", UNKNOWN),
    ],
)
def test_a_request_may_name_the_modality(text: str, name: str) -> None:
    assert modality_of_words(normalise(text), LEXICON) == name


def flat(*color: int) -> RgbImage:
    return np.full((48, 48, 3), color, dtype=np.uint8)


def framed(*color: int) -> RgbImage:
    pixels = flat(4, 4, 4)
    pixels[10:38, 10:38] = color
    return pixels


@pytest.mark.parametrize(
    ("pixels", "possible", "impossible"),
    [
        (flat(90, 90, 90), "ultrasound", "dermoscopy"),
        (flat(90, 90, 90), "microscopy", "endoscopy"),
        (framed(180, 90, 50), "fundus", "microscopy"),
        (framed(180, 90, 50), "endoscopy", "ultrasound"),
        (flat(200, 130, 180), "microscopy", "fundus"),
        (flat(200, 150, 130), "dermoscopy", "endoscopy"),
        (flat(0, 255, 0), "dermoscopy", "ultrasound"),
    ],
)
def test_simple_facts_rule_modalities_out(pixels: RgbImage, possible: str, impossible: str) -> None:
    names = possible_modalities(measure(pixels), EVERYTHING)
    assert possible in names
    assert impossible not in names


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (3, 2)])
def test_the_smallest_images_can_be_measured(shape: tuple[int, int]) -> None:
    assert possible_modalities(measure(np.zeros((*shape, 3), dtype=np.uint8)), EVERYTHING)
