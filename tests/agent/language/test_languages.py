"""Requests in other languages, from the caller's words to the intent."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.language.detection import ENGLISH, foreign_words
from agent.language.language_tables import TRANSLATED
from agent.language.lexicon import load_lexicon
from agent.language.request import account, read_request
from tests.agent.language.accounts import named
from tests.agent.language.reading import differences

PATH = Path(__file__).parent / "requests" / "languages.json"
# Written before the tables were looked at; the words of some were added afterwards.
REQUESTS = json.loads(PATH.read_text(encoding="utf-8"))
READ = [one for one in REQUESTS if set(one["languages"]) & set(TRANSLATED)]
# Names, Latin, abbreviations and words that other languages share.
IN_ENGLISH = [
    "die cast artifact, please outline",
    "the patient may die, outline the tumor",
    "mole on the back",
    "sin wave artifact",
    "polyp a and polyp b",
    "lesion de novo",
    "in vivo nuclei",
    "placenta",
    "cauda equina",
    "os",
    "ad hoc outline of the lesion",
    "RE eye, optic disc",
    "re polyp",
    "dx? lesion",
    "la lesion",
    "LA and LV",
    "OD optic disc",
    "segment the LV en face",
    "en bloc resection of the polyp",
    "carcinoma in situ",
    "café au lait spot",
    "coup contrecoup lesion",
    "petit mal, lesion",
    "pes planus",
    "pulmo dexter",
    "vena cava",
    "a priori lung",
    "per se lesion",
    "pro re nata, polyp",
    "the con side, left lung",
    "is it in a vas deferens",
    "Dr. De La Cruz wants the polyp outlined",
    "Herr Schmidt, prostate",
    "M. Dupont has a lesion",
    "Van Gogh polyp",
    "Los Angeles hospital, brain tumor",
    "San Diego chest film, lungs",
    "status post TUR, prostate",
    "tumor total volume",
    "area total",
    "normal lung",
    "vessel, color fundus",
    "dorsal lesion",
    "retina",
    "tumor margin",
    "melanoma",
    "plus 5 px",
    "minus the cup",
    "hernia",
    "Pneumonia?",
    "sans contrast, liver",
    "les lesions",
]
TAKING = frozenset({"drop", "clear", "exclude", "subtract", "wrong", "undo"})


@pytest.mark.parametrize("request_", REQUESTS, ids=[one["id"] for one in REQUESTS])
def test_a_request_is_read_as_expected(request_: dict[str, Any]) -> None:
    intent = read_request(request_["request"], load_lexicon(), request_["holds"])
    assert differences(intent, request_["intent"]) == []
    assert intent.language in request_["languages"]


def test_there_are_enough_of_them() -> None:
    counts = [sum(one["languages"] == [name] for one in READ) for name in TRANSLATED]
    others = {one["languages"][0] for one in REQUESTS if one not in READ}
    assert min(counts) >= 30
    assert len(others) >= 15


@pytest.mark.parametrize("text", IN_ENGLISH)
def test_foreign_looking_words_leave_a_request_english(text: str) -> None:
    assert read_request(text, load_lexicon()).language == ENGLISH


@pytest.mark.parametrize(
    ("text", "languages", "label"),
    [
        ("bitte den optic cup outline", {"de"}, "optic cup"),
        ("segmenter le brain tumor please", {"fr"}, "brain tumor"),
        ("outline the próstata por favor", {"es", "pt"}, "prostate"),
        ("分割 brain tumor", {"zh"}, "brain tumor"),
        ("polypを囲んで", {"ja"}, "polyp"),
    ],
)
def test_a_mixed_request_is_read(text: str, languages: set[str], label: str) -> None:
    intent = read_request(text, load_lexicon())
    assert [thing.terms[0] for thing in intent.find] == [label]
    assert intent.language in languages
    assert intent.not_understood == ()


@pytest.mark.parametrize(
    ("text", "typed", "label"),
    [
        ("Hirntumr segmentieren", "Hirntumr", "brain tumor"),
        ("lunge segmentiren", "segmentiren", "lungs"),
        ("segmneter le polype", "segmneter", "polyp"),
        ("segmnetar el pólipo", "segmnetar", "polyp"),
        ("segmentre il polipo", "segmentre", "polyp"),
        ("desenhe a próstta", "próstta", "prostate"),
    ],
)
def test_a_slip_in_another_language_is_read_and_told(text: str, typed: str, label: str) -> None:
    intent = read_request(text, load_lexicon())
    assert [thing.terms[0] for thing in intent.find] == [label]
    assert typed in [correction.typed for correction in intent.corrections]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("entferen Sie den Polypen", "entferen"),
        ("suprimmer le polype", "suprimmer"),
        ("elimnia el pólipo", "elimnia"),
        ("rimuvoi il polipo", "rimuvoi"),
    ],
)
def test_a_slip_never_takes_a_mask_away(text: str, word: str) -> None:
    intent = read_request(text, load_lexicon(), ("polyp",))
    assert not intent.operations
    assert word in named(intent)


@pytest.mark.parametrize("word", ["separe", "neer"])
def test_a_foreign_word_is_no_english_slip_that_takes_away(word: str) -> None:
    intent = read_request(f"outline the {word} of the polyp", load_lexicon(), ("polyp",))
    assert not TAKING & {done.act for done in intent.operations}


@given(st.sampled_from(sorted(foreign_words())))
def test_no_foreign_word_is_corrected_to_one_that_takes_away(word: str) -> None:
    # Where the English reader takes the word for a slip, it is of a name or of a harmless wish.
    reading = account(f"outline the {word} of the polyp", load_lexicon(), ("polyp",))
    corrected = {one.typed for one in reading.intent.corrections}
    taken = TAKING & {done.act for done in reading.intent.operations}
    assert not (word in corrected and taken)


@given(
    st.sampled_from([one["request"] for one in READ]),
    st.sampled_from(["Flimmerwatt", "ZORBLAX", "Qwyxvotz"]),
)
def test_an_unknown_word_comes_back_as_it_was_typed(request_: str, strange: str) -> None:
    intent = read_request(f"{request_.rstrip('.!? ')}; {strange}", load_lexicon())
    assert strange in " ".join(intent.not_understood) or strange.casefold() in named(intent)
