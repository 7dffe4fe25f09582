import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.language.coverage import FILLERS, MAX_PART_WORDS, Words
from agent.schemas.intent import Correction


@pytest.mark.parametrize(
    ("request_", "parts", "rest"),
    [
        pytest.param("outline the polyp", ["polyp"], ("outline",), id="one word"),
        pytest.param("Tumours, please!", ["tumor"], (), id="another form of a word"),
        pytest.param("the polyp and sing a song", ["polyp"], ("sing a song",), id="fillers"),
        pytest.param("polyp, blorgy; zonk it", ["polyp"], ("blorgy", "zonk"), id="marks cut"),
        pytest.param("zonk the polyp zonk", ["polyp"], ("zonk",), id="named once"),
        pytest.param("large polyp", ["large mass"], ("large polyp",), id="not in the request"),
        pytest.param("den Polypen umranden", ["Polypen"], ("den", "umranden"), id="German"),
        pytest.param(
            "\u8bf7\u5206\u5272\u606f\u8089", ["\u606f\u8089"], ("\u8bf7\u5206\u5272",), id="Han"
        ),
        pytest.param("use box 91,61,257,180", ["box 91 61 257 180"], ("use",), id="marks"),
        pytest.param("LV & RV?", ["lv"], ("RV",), id="case is kept"),
        pytest.param("it is the", [], (), id="only fillers"),
        pytest.param("", ["polyp"], (), id="nothing"),
    ],
)  # fmt: skip
def test_what_no_part_says_is_left_as_it_was_written(
    request_: str, parts: list[str], rest: tuple[str, ...]
) -> None:
    words = Words(request_)
    assert words.rest(words.of(parts)) == rest


def test_a_part_that_is_as_long_as_a_sentence_accounts_for_nothing() -> None:
    long = " ".join(f"word{number}x" for number in range(MAX_PART_WORDS + 1))
    words = Words(long)
    assert words.places(long) == words.all
    assert words.of([long]) == frozenset()
    assert words.of([long.rsplit(" ", 1)[0]]) == words.all - {MAX_PART_WORDS}


@given(st.text(max_size=60), st.lists(st.text(max_size=20), max_size=4))
def test_what_is_left_stands_in_the_request_and_with_the_parts_makes_all_of_it(
    request_: str, parts: list[str]
) -> None:
    words = Words(request_)
    covered = words.of(parts)
    rest = words.rest(covered)
    assert all(part in request_ for part in rest)
    left = frozenset[int]().union(*map(words.places, rest))
    assert words.telling(words.all) <= covered | left


def test_a_word_that_changes_what_is_meant_is_no_filler() -> None:
    telling = {"not", "no", "without", "left", "right", "largest", "all", "both", "only", "near"}
    assert not FILLERS & telling


def test_a_typing_error_is_said_by_what_was_typed_and_by_what_was_meant() -> None:
    words = Words("outlien the optci disk", [Correction(typed="optci", read="optic")])
    assert words.places("optic disc") == words.places("optci disk") == frozenset({2, 3})
    assert words.rest(words.of(["optic disc"])) == ("outlien",)
