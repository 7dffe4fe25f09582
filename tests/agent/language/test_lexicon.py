import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.language.lexicon import load_lexicon, normalise, to_concept
from agent.language.request import read_request
from segmenter.training.concepts import CONCEPTS

LEXICON = load_lexicon()
TERMS = LEXICON.file.terms


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Tumours", ("tumor",)),
        ("Oedema and haemorrhage", ("edema", "and", "hemorrhage")),
        ("the patient's left lung", ("the", "patient", "left", "lung")),
        ("don't", ("do", "not")),
        ("X-ray; CT/MRI", ("x", "ray", ";", "ct", "mri")),
        ("NUCLEI", ("nucleus",)),
        ("masses, vessels", ("mass", ",", "vessel")),
        ("ﬁbroids", ("fibroid",)),
    ],
)
def test_spelling_case_and_number_do_not_matter(text: str, words: tuple[str, ...]) -> None:
    assert normalise(text) == words


@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    read_request(text, LEXICON)


def test_the_bundled_models_concepts_lead_their_phrases() -> None:
    phrases = {term.label: term.phrases for term in TERMS}
    assert [phrases[concept.name][0] for concept in CONCEPTS] == [
        concept.name for concept in CONCEPTS
    ]


def test_there_are_at_least_three_hundred_terms() -> None:
    assert len(TERMS) >= 300


def test_labels_are_unique() -> None:
    labels = [term.label for term in TERMS]
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.label)
def test_a_term_is_sound(term: object) -> None:
    checked = type(TERMS[0]).model_validate(term)
    for phrase in checked.phrases:
        assert re.fullmatch(r"[a-z0-9-]+( [a-z0-9-]+){0,2}", phrase)
        assert to_concept(phrase) == phrase
    assert set(checked.modalities) <= set(LEXICON.file.modalities)
    assert checked.area_share[0] < checked.area_share[1]
    words = [normalise(synonym) for synonym in checked.synonyms]
    assert len(words) == len(set(words))


def test_every_word_of_a_term_leads_to_it() -> None:
    for term in TERMS:
        for phrase in (term.label, *term.synonyms):
            assert term in LEXICON.terms_of(normalise(phrase)), phrase


def test_the_file_names_its_sources_and_its_reviewer() -> None:
    assert LEXICON.file.sources
    assert LEXICON.file.reviewed_by is None
