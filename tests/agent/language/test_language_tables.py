"""The tables of `prompts/languages/` say one thing each, and say it of all that is bundled."""

import tomllib
from importlib import resources

import pytest

from agent.language.detection import english_words
from agent.language.language_tables import (
    TRANSLATED,
    LanguageFile,
    Meaning,
    language_table,
    other_languages,
    phrases_of,
)
from agent.language.lexicon import load_lexicon, normalise
from agent.language.request import load_tables, read_request
from segmenter.training.concepts import CONCEPTS
from tests.paths import ROOT

FILES = {
    name: LanguageFile.model_validate_json(
        resources.files("prompts").joinpath("languages", f"{name}.json").read_bytes()
    )
    for name in TRANSLATED
}
# Parts of the body that are no targets of their own, but where something is.
PARTS = {"atrium", "chest", "knee", "shoulder", "skin"}
COMMANDS = [
    "outline",
    "keep",
    "only",
    "remove",
    "without",
    "except",
    "add",
    "accept",
    "wrong",
    "again",
    "tighter",
    "bigger",
    "grow",
    "shrink",
    "smooth",
    "fill",
    "hole",
    "separately",
    "split",
    "merge",
    "undo",
    "redo",
    "everything",
    "please",
    "hello",
    "thank",
    "help",
    "why",
    "where",
    "area",
    "diameter",
    "volume",
    "width",
    "height",
    "ratio",
    "compare",
    "percent",
    "left",
    "right",
    "both",
    "largest",
    "smallest",
    "first",
    "second",
    "third",
    "two",
    "three",
    "ten",
    "mm",
    "cm",
    "px",
    "image",
    "patient",
    "woman",
    "man",
    "year",
    "and",
    "or",
    "not",
    "it",
]


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_phrase_means_one_thing(language: str) -> None:
    meant: dict[tuple[str, ...], Meaning] = {}
    for words, meaning in phrases_of(FILES[language]):
        assert words
        assert meant.setdefault(words, meaning) == meaning, words


@pytest.mark.parametrize("language", TRANSLATED)
def test_what_the_bundled_model_knows_has_a_name_in_every_language(language: str) -> None:
    lexicon = load_lexicon()
    structures = FILES[language].phrases["structures"]
    named = {term.label for each in structures for term in lexicon.terms_of(normalise(each))}
    assert {concept.name for concept in CONCEPTS} <= named


@pytest.mark.parametrize("language", TRANSLATED)
def test_names_of_structures_are_words_of_the_lexicon(language: str) -> None:
    lexicon = load_lexicon()
    unknown = [
        english
        for english in FILES[language].phrases["structures"]
        if not lexicon.terms_of(normalise(english))
    ]
    assert set(unknown) <= PARTS


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_command_can_be_said_in_every_language(language: str) -> None:
    assert set(COMMANDS) <= language_table(language).english


def test_no_table_was_reviewed_yet_and_each_says_so() -> None:
    assert {file.reviewed_by for file in FILES.values()} == {None}
    assert other_languages().reviewed_by is None
    assert all(file.sources and file.fields for file in FILES.values())


def test_the_tables_are_shipped() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "languages/*.json" in project["tool"]["setuptools"]["package-data"]["prompts"]


def test_words_of_the_lexicon_are_english() -> None:
    assert {"polyp", "tumor", "the", "outline"} <= english_words()
    assert not {"umranden", "polipo", "poumon"} & english_words()


def test_no_request_has_to_load_a_table_that_was_loaded_before() -> None:
    tables = (language_table, other_languages, english_words)
    for table in tables:
        table.cache_clear()
    load_tables()
    loaded = [table.cache_info().misses for table in tables]
    for text in ("Outline the polip", "Zeichne den Tumor ein", "轮廓左肺", "Merkitse polyyppi"):
        read_request(text, load_lexicon())
    assert [table.cache_info().misses for table in tables] == loaded
    assert loaded == [len(TRANSLATED), 1, 1]
