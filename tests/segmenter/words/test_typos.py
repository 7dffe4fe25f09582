import pytest

from segmenter.words.typos import is_slip, nearest_words


@pytest.mark.parametrize(
    ("strange", "word", "supported", "near"),
    [
        ("polpy", "polyp", False, True),
        ("disck", "disc", False, False),
        ("disck", "disc", True, True),
        ("lunge", "lungs", False, False),
        ("lunge", "lungs", True, True),
        ("brest", "breast", False, True),
        ("bresat", "breast", False, True),
        ("bresst", "coast", True, False),
        ("myocarditis", "myocardium", True, False),
        ("myocadriun", "myocardium", True, True),
        ("myocadriun", "myocardium", False, False),
        ("cap", "cup", True, False),
        ("tumer", "humer", True, False),
    ],
)
def test_a_longer_word_allows_more_edits(
    strange: str, word: str, supported: bool, near: bool
) -> None:
    assert nearest_words(strange, [word], supported=supported) == ((word,) if near else ())


@pytest.mark.parametrize(
    ("strange", "word", "slip"),
    [
        ("polpy", "polyp", True),
        ("pollyp", "polyp", True),
        ("vesel", "vessel", True),
        ("lunge", "lung", False),
        ("polip", "polyp", False),
        ("abbot", "aabot", False),
        ("cpu", "cup", False),
    ],
)
def test_a_slip_swaps_or_doubles(strange: str, word: str, slip: bool) -> None:
    assert is_slip(strange, word) is slip


def test_equally_near_words_are_all_candidates() -> None:
    known = ["pleuro", "pleura", "polyp"]
    assert nearest_words("pleuri", known, supported=False) == ("pleura", "pleuro")
    assert nearest_words("zebra", known, supported=True) == ()


def test_a_slip_is_nearer_than_another_letter() -> None:
    assert nearest_words("nucleii", ["nuclei", "nucleic"], supported=False) == ("nuclei",)
