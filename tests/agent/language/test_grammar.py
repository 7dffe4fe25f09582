"""The words of requests are data that a clinician can review."""

from typing import get_args

from agent.language.grammar import WordGroups, load_grammar, words_of
from agent.language.lexicon import load_lexicon
from agent.schemas.intent import Act, Talk, Topic

GRAMMAR = load_grammar()
WORDS = GRAMMAR.file.words


def test_the_file_explains_its_groups_and_names_its_sources_and_its_reviewer() -> None:
    assert set(WordGroups.model_fields) <= set(GRAMMAR.file.fields)
    assert GRAMMAR.file.sources
    assert GRAMMAR.file.reviewed_by is None


def test_everything_that_can_be_wanted_can_be_said() -> None:
    assert set(WORDS.acts) | {"exclude", "box"} == set(get_args(Act))
    assert set(WORDS.topics) == set(get_args(Topic))
    assert set(WORDS.talk) | {"other_language"} == set(get_args(Talk))


def test_a_phrase_of_a_group_has_one_meaning() -> None:
    doubled = []
    for group in WordGroups.model_fields:
        table = getattr(WORDS, group)
        if isinstance(table, dict):
            said = [
                phrase for phrases in table.values() for phrase in phrases if "..." not in phrase
            ]
            phrases = list(map(words_of, said))
            doubled += [phrase for phrase in set(phrases) if phrase and phrases.count(phrase) > 1]
    assert doubled == []


def test_measures_are_of_structures_that_the_lexicon_holds() -> None:
    labels = {label for entry in GRAMMAR.file.implied for label in entry.of}
    assert labels <= set(load_lexicon().labels)
