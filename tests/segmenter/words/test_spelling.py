import pytest

from segmenter.words.spelling import IRREGULAR_PLURALS, fold, singular


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("polyps", "polyp"),
        ("opacities", "opacity"),
        ("masses", "mass"),
        ("mass", "mass"),
        ("nucleus", "nucleus"),
        ("keratosis", "keratosis"),
        ("branches", "branch"),
        ("gas", "gas"),
        ("ulnas", "ulna"),
        ("melanomas", "melanoma"),
        ("abscesses", "abscess"),
        ("biopsies", "biopsy"),
    ],
)
def test_regular_plurals_are_undone(plural: str, one: str) -> None:
    assert singular(plural) == one


@pytest.mark.parametrize(
    "word", ["mass", "abscess", "pelvis", "uterus", "diagnosis", "pancreas", "sinus", "gas", "iris"]
)
def test_a_singular_that_ends_in_s_stays(word: str) -> None:
    assert singular(word) == word


@pytest.mark.parametrize(("plural", "word"), IRREGULAR_PLURALS.items())
def test_the_singular_of_an_irregular_plural_stays(plural: str, word: str) -> None:
    assert singular(plural) == singular(word) == word


@pytest.mark.parametrize(
    ("text", "american"),
    [
        ("Tumours", "tumors"),
        ("seborrhoeic", "seborrheic"),
        ("ischaemic leukaemia", "ischemic leukemia"),
        ("oesophageal Oedema", "esophageal edema"),
        ("the patient's disk", "the patient disc"),
        ("Na\u00efve \ufb01bres aren\u2019t", "naive fibers are not"),
    ],
)
def test_text_is_folded_to_american_spelling(text: str, american: str) -> None:
    assert fold(text) == american
