"""Every word of a request is obeyed, answered, or named as not understood."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.language.lexicon import load_lexicon
from agent.language.request import Reading, ReadWord, account, read_request
from agent.language.tokens import tokenize
from agent.schemas.intent import Intent
from tests.agent.language.accounts import GRAMMAR, LEXICON, LISTED, named, unaccounted
from tests.agent.language.reading import differences

REQUESTS = Path(__file__).parent / "requests"
# By a writer who has not seen the grammar.
INDEPENDENT = json.loads((REQUESTS / "independent.json").read_text(encoding="utf-8"))
# By another one, who set out to break what was there.
SECOND = json.loads((REQUESTS / "second.json").read_text(encoding="utf-8"))
OWN = json.loads((REQUESTS / "own.json").read_text(encoding="utf-8"))


RECORDED = (*INDEPENDENT, *SECOND, *OWN)


def wrong(request: dict[str, Any]) -> list[str]:
    intent = read_request(request["request"], load_lexicon(), request["holds"])
    return differences(intent, request["intent"])


def test_the_tables_hold_at_least_four_hundred_requests() -> None:
    texts = {(one["request"], *one["holds"]) for one in RECORDED}
    assert len(texts) >= 400
    assert len(INDEPENDENT) >= 100
    assert len(SECOND) >= 100


@pytest.mark.parametrize("requests", [INDEPENDENT, SECOND], ids=["first", "second"])
def test_requests_of_a_stranger_to_the_grammar_are_read_as_expected(
    requests: list[dict[str, Any]],
) -> None:
    missed = {f"{one['id']}: {one['request']}": told for one in requests if (told := wrong(one))}
    share = 1 - len(missed) / len(requests)
    assert share >= 0.95, json.dumps(missed, indent=1)
    sys.stdout.write(f"{share:.1%} of {len(requests)}; not these: {json.dumps(missed, indent=1)}\n")


@pytest.mark.parametrize("request_", OWN, ids=[one["id"] for one in OWN])
def test_a_request_is_read_as_expected(request_: dict[str, Any]) -> None:
    assert wrong(request_) == []


def phrases() -> st.SearchStrategy[str]:
    known = [*GRAMMAR.phrases.phrases(), *LEXICON.phrases.phrases()]
    spoken = st.sampled_from(known).map(" ".join)
    marks = st.sampled_from([",", ".", ";", "?", "and", "the", "m1", "mask 2", "5 px", "10%", "2"])
    strange = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=9)
    return st.one_of(spoken, marks, strange)


HELD = st.sampled_from([None, (), ("polyp",), ("lungs", "heart")])


@given(st.lists(phrases(), min_size=1, max_size=10).map(" ".join), HELD)
def test_every_word_is_in_the_intent_or_named_as_not_understood(
    text: str, held: tuple[str, ...] | None
) -> None:
    assert unaccounted(text, account(text, LEXICON, held)) == []


@given(st.text(max_size=200))
def test_every_word_of_any_text_is_accounted_for(text: str) -> None:
    assert unaccounted(text, account(text, LEXICON)) == []


@pytest.mark.parametrize("one", RECORDED, ids=lambda one: one["id"])
def test_every_word_of_a_recorded_request_is_accounted_for(one: dict[str, Any]) -> None:
    reading = account(one["request"], LEXICON, one["holds"])
    assert unaccounted(one["request"], reading) == []


# English, but of no trade that outlines organs.
RARE = (
    *("harpsichord", "obelisk", "quixotic", "verdant", "zephyr", "bamboozle", "gargoyle", "lagoon"),
    *("parliament", "rhubarb", "sonnet", "trombone", "umbrella", "velvet", "walrus", "yonder"),
    *("alchemy", "barnacle", "crimson", "dandelion", "embroider", "fjord", "gossamer", "hymn"),
    *("juxtapose", "kaleidoscope", "labyrinth", "meander", "nimble", "opulent", "pristine"),
    *("quarrel", "ruminate", "saffron", "thimble", "unwieldy", "vouch", "whittle", "yeoman"),
)


@settings(max_examples=400)
@given(
    st.sampled_from(RECORDED),
    st.one_of(st.sampled_from(RARE), st.text("bcdfghjkvwxyz", min_size=4, max_size=9)),
    st.integers(0, 20),
)
def test_a_word_that_nobody_knows_is_never_ignored(
    one: dict[str, Any], strange: str, place: int
) -> None:
    words = one["request"].split()
    said = " ".join([*words[:place], strange, *words[place:]])
    intent = read_request(said, LEXICON, one["holds"])
    read = {correction.typed for correction in intent.corrections}
    known = strange in LISTED or strange in read or intent.talk is not None
    assert known or all(token.word in named(intent) for token in tokenize(strange))


@pytest.mark.parametrize("one", RECORDED, ids=lambda one: one["id"])
def test_no_request_ends_in_silence(one: dict[str, Any]) -> None:
    intent = read_request(one["request"], LEXICON, one["holds"])
    said = (intent.find, intent.operations, intent.questions, intent.talk)
    assert any((*said, intent.context, intent.not_understood))


def test_a_word_that_is_lost_would_be_noticed() -> None:
    text = "outline the polyp darker"
    (*first, last) = (ReadWord(token, "function") for token in tokenize(text))
    silent = Reading(Intent(), (*first, last._replace(by=None)))
    assert unaccounted(text, silent) == ["darker (None)"]
    pretended = Reading(Intent(), (*first, last._replace(by="operation")))
    assert unaccounted(text, pretended) == ["darker (operation)"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("outline the polyp like a star", ("like a star",)),
        ("Outline the liver, EXPORT it as Pdf please", ("EXPORT it as Pdf please",)),
        ("lungs in purple and the heart", ("in purple",)),
        ("remove masks smaller than 50 pixels", ("remove masks smaller than 50 pixels",)),
        ("delete the purple nuclei", ("delete the purple nuclei",)),
    ],
)
def test_what_is_not_understood_is_told_verbatim(text: str, parts: tuple[str, ...]) -> None:
    assert read_request(text, LEXICON).not_understood == parts


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("outline the poylp", {"poylp": "polyp"}),
        ("left vetricle", {"vetricle": "ventricle"}),
        ("you forgot the spleen", {}),
        ("drup it", {}),
        ("retnal vesels", {"retnal": "retinal", "vesels": "vessel"}),
    ],
    ids=["swapped", "left out", "another word", "too short to remove", "decided by a neighbour"],
)
def test_a_typing_error_is_read_only_beyond_doubt(typed: str, read: dict[str, str]) -> None:
    corrections = read_request(typed, LEXICON).corrections
    assert {one.typed: one.read for one in corrections} == read


@pytest.mark.parametrize(
    "text",
    ["1," * 1000, "left and " * 220, "tumor " * 330, "mask " * 400, "not " * 500, "take " * 400],
)
def test_hostile_text_costs_little(text: str) -> None:
    account(text, LEXICON)
    started = time.process_time()
    account(text, LEXICON)
    assert time.process_time() - started < 0.25
