"""Free words for the bundled model: what they mean, and what stays unknown."""

import csv
import string
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.language.lexicon import load_lexicon
from segmenter.backends.compact.backend import CompactBackend
from segmenter.backends.compact.vocabulary import Vocabulary
from segmenter.backends.compact.words import load_words, spelling_of
from segmenter.contract import Box, BoxPrompt, Prompt
from segmenter.formats.decode import decode
from segmenter.training.concepts import CONCEPTS, MODALITIES
from tests.paths import SAMPLES

TABLE = Path(__file__).with_name("phrasings.csv")
NAMES = [concept.name for concept in CONCEPTS]
SITES = ["breast", "skin", "colon", "bowel", "brain", "heart", "eye", "retina", "chest", "tissue"]
# Everyday words; many are one or two letters away from a word of the trade.
_ORDINARY = (
    "apple bottle castle dinner engine forest guitar hammer island jacket kitchen ladder mirror "
    "needle orange pepper quarter rabbit saddle ticket umbrella violin window yellow zipper lunch "
    "lunge lesson legion region topic optics tutor rumor humor timer mold molar pulp police disco "
    "coffee breath bread beast brand train grain cancel capping injection inspection constellation "
    "prosthetic invention vertical vassal vesper nuclear nucleic message mascot gloomy polite poll "
    "candor canyon capacity velocity section lump-sum massage passion mission invention cello skim"
)
ORDINARY = _ORDINARY.split()

words = st.lists(st.sampled_from(string.ascii_lowercase), min_size=8, max_size=14).map("".join)
blanks = st.sampled_from([" ", "  ", "\t", " \n "])


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary({concept.name: concept.aliases for concept in CONCEPTS})


@pytest.fixture(scope="module")
def backend():
    return CompactBackend()


def rows(part):
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["part"] == part]


def wanted(row):
    if row["expected"] == "unknown":
        return frozenset()
    return frozenset(row["expected"].removeprefix("ambiguous:").split("|"))


def picture(name):
    return decode((SAMPLES / name).read_bytes()).pixels


# The table of phrasings


@pytest.mark.parametrize(("part", "least"), [("dev", 120), ("held", 80)])
def test_nineteen_of_twenty_phrasings_are_understood(vocabulary, part, least):
    table = rows(part)
    wrong = [
        (row["phrase"], row["expected"], vocabulary.look_up(row["phrase"]).concepts)
        for row in table
        if frozenset(vocabulary.look_up(row["phrase"]).concepts) != wanted(row)
    ]
    assert len(table) >= least
    assert len(wrong) <= 0.05 * len(table), wrong


@pytest.mark.parametrize("part", ["dev", "held"])
def test_hardly_any_unknown_phrase_is_answered(vocabulary, part):
    unknown = [row["phrase"] for row in rows(part) if not wanted(row)]
    snapped = [phrase for phrase in unknown if vocabulary.look_up(phrase).concepts]
    assert len(unknown) >= 20
    assert len(snapped) <= 0.03 * len(unknown), snapped


def test_the_table_names_each_phrase_once_and_real_concepts_only():
    table = [*rows("dev"), *rows("held")]
    assert {name for row in table for name in wanted(row)} == set(NAMES)
    assert len({row["part"] for row in table}) == 2


# Laws


@given(
    concept=st.sampled_from(CONCEPTS),
    pick=st.integers(0, 99),
    blank=blanks,
    shout=st.sampled_from([str.lower, str.upper, str.title, str.swapcase]),
)
def test_names_and_aliases_mean_themselves(concept, pick, blank, shout):
    vocabulary = Vocabulary({each.name: each.aliases for each in CONCEPTS})
    own = (concept.name, *concept.aliases)
    phrase = shout(blank + blank.join(own[pick % len(own)].split()) + blank)
    assert vocabulary.look_up(phrase).concepts == (concept.name,)


@given(words)
def test_random_letters_mean_nothing(word):
    assert VOCABULARY.look_up(word).concepts == ()


@pytest.mark.parametrize("word", ORDINARY)
def test_an_everyday_word_means_nothing(vocabulary, word):
    meaning = vocabulary.look_up(word)
    assert meaning.concepts == ()
    assert meaning.reason


@given(st.text(max_size=100))
def test_any_text_has_a_meaning_or_a_reason(text):
    meaning = VOCABULARY.look_up(text)
    assert bool(meaning.concepts) == (meaning.reason is None)


@given(st.sampled_from(NAMES), words)
def test_a_strange_word_beside_a_concept_makes_it_unknown(name, word):
    assert VOCABULARY.look_up(f"{name} {word}").concepts == ()


VOCABULARY = Vocabulary({concept.name: concept.aliases for concept in CONCEPTS})


# What stays unknown, and why


@pytest.mark.parametrize("site", SITES)
def test_the_place_alone_is_not_the_thing_in_it(vocabulary, site):
    assert vocabulary.look_up(site).concepts == ()


def test_what_the_agent_may_ask_for_another_term_is_never_answered(vocabulary):
    asked = [(term.label, p) for term in load_lexicon().file.terms for p in term.phrases]
    others = [(label, phrase) for label, phrase in asked if label not in NAMES]
    assert len(others) > 50
    assert [pair for pair in others if vocabulary.look_up(pair[1]).concepts] == []


@pytest.mark.parametrize(
    ("phrase", "words"),
    [
        ("no polyp", "says what is not wanted"),
        ("everything but the polyp", "says what is not wanted"),
        ("polyp and stool", "may be more than one thing"),
        ("polyp/adenoma with bleeding", "may be more than one thing"),
        ("left lung", "asks for a part or a side; this model finds lungs"),
        ("the largest polyp", "asks for a part or a side; this model finds polyp"),
        ("lungs on CT", "does not know lungs in CT images"),
        ("polyp on ultrasound", "does not know polyp in ultrasound images"),
        ("myocarditis", "nearest: myocardium"),
        ("optic nerve", "nearest: optic cup, optic disc"),
        ("show me the image", "names nothing to look for"),
        ("?!", "names nothing to look for"),
        ("\u043f\u043e\u043b\u0438\u043f polyp", "does not know"),
    ],
)
def test_the_reason_says_what_is_wrong(vocabulary, phrase, words):
    meaning = vocabulary.look_up(phrase)
    assert meaning.concepts == ()
    assert words in meaning.reason
    assert meaning.reason.endswith("it knows " + ", ".join(NAMES))


@pytest.mark.parametrize(
    ("phrase", "concepts"),
    [
        ("lesion on dermoscopy", ("skin lesion",)),
        ("lesion on ultrasound", ("breast tumor",)),
        ("tumor on MRI", ("brain tumor",)),
        ("carcinoma on ultrasound", ("breast tumor",)),
        ("tumor in this CT", ()),
    ],
)
def test_the_kind_of_picture_narrows_a_bare_word(vocabulary, phrase, concepts):
    assert vocabulary.look_up(phrase).concepts == concepts


def test_a_model_of_fewer_concepts_answers_no_others():
    small = Vocabulary({"polyp": (), "zorb": ("blue zorb",)})
    assert small.look_up("naevus").concepts == ()
    assert small.look_up("tumour").concepts == ("polyp",)
    assert small.look_up("Blue Zorbs").concepts == ("zorb",)


# The table of words


def test_the_table_knows_the_models_concepts_and_the_modalities_of_its_training():
    file = load_words()
    assert list(file.concepts) == NAMES
    assert {name for names in file.ambiguous.values() for name in names} <= set(NAMES)
    trained = {"ultrasound", "colonoscopy", "dermoscopy", "fundus", "microscopy"} | {
        name for name in MODALITIES.values() if " " in name
    }
    by_name = {concept.name: concept for concept in CONCEPTS}
    for context in trained:
        for name in file.contexts[context].concepts:
            assert context in by_name[name].modalities, (context, name)


def test_no_phrase_means_two_concepts():
    file = load_words()
    spelling = spelling_of(file)
    keys: Counter[frozenset[str]] = Counter()
    for entry in file.concepts.values():
        keys.update({frozenset(spelling.words(phrase)) for phrase in entry.all()})
    assert [sorted(key) for key, count in keys.items() if count > 1] == []


def test_no_phrase_hangs_on_a_word_that_changes_nothing():
    file = load_words()
    spelling = spelling_of(file)
    fillers = set(spelling.words(file.fillers))
    phrases = [phrase for entry in file.concepts.values() for phrase in entry.all()]
    hanging = [p for p in (*phrases, *file.ambiguous) if fillers & set(spelling.words(p))]
    assert hanging == []


# Spelling


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Tumours of the Breast's", ("tumor", "of", "the", "breast")),
        ("lv", ("left", "ventricle")),
        ("na\u00efve naevi", ("naive", "nevus")),
        ("optic-disks", ("optic", "disc")),
        ("H&E", ("h", "and", "e")),
        ("isn't", ("is", "not")),
        ("", ()),
    ],
)
def test_text_becomes_plain_words(text, words):
    assert spelling_of(load_words()).words(text) == words


def test_a_look_up_takes_less_than_a_millisecond(vocabulary):
    phrases = [row["phrase"] for row in (*rows("dev"), *rows("held"))]
    rounds = []
    for _ in range(3):
        start = time.process_time()
        for phrase in phrases:
            vocabulary.look_up(phrase)
        rounds.append((time.process_time() - start) / len(phrases))
    assert min(rounds) < 1e-3


# The backend


@pytest.mark.parametrize("text", ["lesion", "a mass", "tumour"])
def test_the_picture_decides_what_a_bare_word_means(backend, text):
    embedding = backend.embed(picture("busi_tumor.jpg"))
    prompts = [Prompt(text=text), Prompt(text="breast tumor")]
    bare, named = backend.predict(embedding, prompts, threshold=None)
    assert (bare.concept, bare.known, bare.reason) == ("breast tumor", True, None)
    assert bare.presence == pytest.approx(named.presence, abs=1e-4)
    np.testing.assert_array_equal(bare.masks[0].mask, named.masks[0].mask)


def test_a_bare_word_that_finds_nothing_says_what_it_may_have_meant(backend):
    embedding = backend.embed(picture("busi_tumor.jpg"))
    (answer,) = backend.predict(embedding, [Prompt(text="Lesion")], threshold=1.0)
    assert (answer.masks, answer.known) == ((), True)
    assert answer.reason.startswith(
        "'Lesion' may mean breast tumor, polyp, skin lesion, brain tumor; looked for breast tumor"
    )


def test_a_synonym_is_answered_as_the_concept_itself(backend):
    embedding = backend.embed(picture("dsb2018_nuclei.jpg"))
    prompts = [Prompt(text="all the cell nuclei"), Prompt(text="nuclei")]
    synonym, name = backend.predict(embedding, prompts, threshold=None)
    assert synonym.concept == "nuclei"
    np.testing.assert_array_equal(synonym.masks[0].mask, name.masks[0].mask)


def test_a_synonym_with_a_box_is_answered_in_the_box(backend):
    image = picture("busi_tumor.jpg")
    box = BoxPrompt(box=Box(x0=215, y0=145, x1=315, y1=220))
    prompts = [Prompt(text=text, boxes=(box,)) for text in ("breast lump", "breast tumor")]
    synonym, name = backend.predict(backend.embed(image), prompts, threshold=None)
    assert synonym.concept == name.concept == "breast tumor"
    np.testing.assert_array_equal(synonym.masks[0].mask, name.masks[0].mask)
