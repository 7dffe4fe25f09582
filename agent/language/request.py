"""Reads a request: one pass from words to units, parts, wishes and the intent. Pure.

Every word ends up in the intent, or among the verbatim parts that were not understood.
"""

from collections.abc import Collection
from typing import NamedTuple

from agent.language.grammar import load_grammar
from agent.language.lexicon import Lexicon, load_lexicon
from agent.language.reading.assembly import assemble
from agent.language.reading.parts import to_parts
from agent.language.reading.units import By, Unit, to_units
from agent.language.slips import correct
from agent.language.tokens import Token, tokenize
from agent.language.translation import translate
from agent.schemas.intent import Correction, Intent


class ReadWord(NamedTuple):
    """A word of a request, and what of the intent consumed it; None for nothing."""

    token: Token
    by: By | None


class Reading(NamedTuple):
    """An intent, and what became of each word of the request."""

    intent: Intent
    words: tuple[ReadWord, ...]


def read_request(text: str, lexicon: Lexicon, held: Collection[str] | None = None) -> Intent:
    """Read a request with the words of lexicon and grammar.

    Args:
        text: as the caller wrote it.
        lexicon: of structures.
        held: labels of what the thread shows; what is spoken of and not held is to be found as
            well. None: not known; then what acts are about is taken as held, and what questions
            are about is not.
    """
    return account(text, lexicon, held).intent


def account(text: str, lexicon: Lexicon, held: Collection[str] | None = None) -> Reading:
    """Read a request, and tell what consumed each of its words; see `read_request`."""
    grammar = load_grammar()
    said = translate(tokenize(text))
    if not said.is_read:
        talk = Intent(talk="other_language", language=said.language)
        return Reading(talk, tuple(ReadWord(token, "talk") for token in said.tokens))
    tokens, corrections = correct(said.tokens, text, lexicon)
    foreign = (Correction(typed=text[at.start : at.end], read=read) for at, read in said.slips)
    units, parts = to_parts(to_units(tokens, lexicon, grammar), lexicon, grammar)
    intent = assemble(parts, grammar, lexicon, held)
    words = _words(tokens, units)
    modality = next((unit.value for unit in units if unit.kind == "modality"), "unknown")
    context = _verbatim(text, words, "context")
    return Reading(
        intent.model_copy(
            update={
                "context": context,
                "not_understood": _verbatim(text, words, None),
                "corrections": (*foreign, *corrections),
                "modality": modality,
                "language": said.language,
            }
        ),
        words,
    )


def load_tables() -> None:
    """Read and index the tables of all languages, which the first request would wait for.

    They take half a second of one core and 9 MB; requests then take a millisecond.
    """
    # A slip, so that what words may have been meant is indexed, too.
    read_request("outlime", load_lexicon())


def _words(tokens: tuple[Token, ...], units: list[Unit]) -> tuple[ReadWord, ...]:
    """Return each token with what consumed its unit; marks consume themselves."""
    by: dict[int, By | None] = {at: unit.by for unit in units for at in range(unit.start, unit.end)}
    return tuple(
        ReadWord(token, by.get(at) if any(sign.isalnum() for sign in token.word) else "function")
        for at, token in enumerate(tokens)
    )


def _verbatim(text: str, words: tuple[ReadWord, ...], by: By | None) -> tuple[str, ...]:
    """Return the parts of the text whose words have been consumed so, neighbours joined."""
    parts: list[list[int]] = []
    is_open = False
    for token, own in words:
        is_mark = not any(sign.isalnum() for sign in token.word)
        if own == by and not is_mark:
            if is_open:
                parts[-1][1] = token.end
            else:
                parts.append([token.start, token.end])
            is_open = True
        elif not is_mark or token.word in ",.;:?!":
            is_open = False
    return tuple(dict.fromkeys(text[start:end] for start, end in parts))
