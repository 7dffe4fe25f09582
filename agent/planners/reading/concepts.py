"""Concepts out of a model's words: one to three plain English ones. Pure."""

import re

from agent.language.lexicon import to_concept
from agent.mllm.json.decode import clean_text
from agent.mllm.json.misfit import Misfit
from agent.planners.reading.fields import is_none
from agent.planners.reading.wordings import holds_numbers

# A phrase is cut before these: "mass in the left breast" asks for a mass.
_CUT = re.compile(r"\s(?:in|of|on|at|with|near|from|within|under|above|below)\s.*", re.DOTALL)
# No English phrase holds them; an article or a preposition tells a language best.
_FOREIGN = frozenset(
    {"de", "du", "des", "der", "das", "den", "del", "della", "dello", "les", "los", "las"}
    | {"von", "vom", "mit", "und", "het", "een", "dos", "una", "uno", "une", "nella", "nel"}
    | {"sur", "dans"}
)
ENGLISH = "must be one to three plain English words, or null with a box"


def concept_of(value: object, where: str, *, boxed: bool) -> tuple[str | None, str]:
    """Return the concept that words make, and words that make none but stand with a box.

    Raises:
        Misfit: they make none, and there is no box to use instead.
    """
    if is_none(value):
        return None, ""
    if not isinstance(value, str):
        raise Misfit(where, ENGLISH)
    words = clean_text(value).strip()
    if holds_numbers(words):
        raise Misfit(where, "must be words, with the box in its own field")
    concept = phrase(words) if is_english(words) else None
    if concept is None and not boxed:
        raise Misfit(where, ENGLISH)
    return concept, "" if concept else words


def phrase(text: str | None) -> str | None:
    """Make a concept of a model's words, None if that cannot be done."""
    return None if text is None else to_concept(_CUT.sub("", clean_text(text)))


def is_english(words: str) -> bool:
    """Tell whether nothing speaks against words being English: letters, articles, prepositions."""
    foreign = any(letter.isalpha() and not letter.isascii() for letter in words)
    return not foreign and not _FOREIGN & set(words.lower().split())
