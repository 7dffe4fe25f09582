"""Finds the words of a request that name something, are excluded, or only say where. Pure."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from agent.language.function_words import (
    CLAUSE_MARKS,
    CONJUNCTIONS,
    DETERMINERS,
    IMAGE_WORDS,
    LOCATIVES,
    NEGATION_CANCELS,
    NEGATION_ENDS,
    NEGATIONS,
    STOP_WORDS,
)
from agent.language.lexicon import Lexicon, Term
from agent.schemas.plan import MAX_CONCEPT_WORDS
from segmenter.words.phrases import Words


class Span(NamedTuple):
    """Words ``start`` to ``end`` (half-open) of the request, and what they may mean."""

    start: int
    end: int
    terms: tuple[Term, ...]


def repeat_shared_noun(words: Words, lexicon: Lexicon) -> Words:
    """Turn "left and right ventricle" into "left ventricle and right ventricle"."""
    for at in range(len(words) - 3):
        first, joint, second, noun = words[at : at + 4]
        if joint not in CONJUNCTIONS or second in DETERMINERS:
            continue
        # "optic disc and cup" needs no repeat; "left and right ventricle" does.
        if lexicon.terms_of((first, noun)) and lexicon.terms_of((second, noun)):
            if lexicon.terms_of((first,)):
                continue
            return (*words[: at + 1], noun, *words[at + 1 :])
    return words


def find_terms(words: Words, lexicon: Lexicon) -> list[Span]:
    """Find the lexicon's phrases, the longest first at every place."""
    return [_settled(words, Span(*found), lexicon) for found in lexicon.phrases.find(words)]


def _settled(words: Words, span: Span, lexicon: Lexicon) -> Span:
    """Settle an ambiguous word by another one: "tumor ... liver" is a liver tumor."""
    if len(span.terms) == 1:
        return span
    for context in (*words[: span.start], *words[span.end :]):
        composed = lexicon.terms_of((context, *words[span.start : span.end]))
        if composed and context not in STOP_WORDS:
            return span._replace(terms=composed)
    return span


def without_context(words: Words, spans: list[Span], lexicon: Lexicon) -> list[Span]:
    """Drop organs that only say what image it is ("breast ultrasound") and doubled words."""
    kept: list[Span] = []
    for span in spans:
        of_image = not IMAGE_WORDS.isdisjoint(words[span.end : span.end + 1])
        of_modality = lexicon.modalities.find_at(words, span.end)
        if of_image or of_modality or lexicon.modalities.get(words[span.start : span.end]):
            continue
        if kept and kept[-1].end == span.start:
            span = _compound(kept.pop(), span)
        kept.append(span)
    return kept


def _compound(first: Span, second: Span) -> Span:
    """Join neighbours: the head of an English compound is its last word ("liver cyst").

    Two words for the same thing ("polyp lesion") are one thing, called by the first.
    """
    same = set(first.terms) & set(second.terms)
    return Span(first.start, second.end, first.terms if same else second.terms)


def is_negated(words: Words, span: Span) -> bool:
    """Tell whether a negation before the span still holds at the span."""
    holds = False
    for at in range(span.start):
        word = words[at]
        if word in NEGATIONS or words[at : at + 2] in (("other", "than"), ("apart", "from")):
            # "yes or no" and "or not" ask; they exclude nothing.
            holds = words[at - 1 : at] != ("or",)
        elif word in CLAUSE_MARKS or (holds and _ends_negation(word, words[at - 1])):
            holds = False
    return holds


def _ends_negation(word: str, before: str) -> bool:
    """Tell whether a word ends a negation: "no cyst, mark the mass", but not "do not mark"."""
    if before in NEGATIONS:
        return word in NEGATION_CANCELS
    return word in NEGATION_ENDS


def is_location(words: Words, span: Span) -> bool:
    """Tell whether the span says where something is ("in the left lung")."""
    for word in reversed(words[: span.start]):
        if word in LOCATIVES:
            return True
        if word in CONJUNCTIONS or word not in STOP_WORDS:
            return False
    return False


def unknown_spans(
    words: Words, spans: Sequence[Span], wanted: Sequence[Span], lexicon: Lexicon
) -> list[Span]:
    """Find nouns the lexicon does not hold: the head noun, or one joined to known ones."""
    taken = {at for span in spans for at in range(span.start, span.end)}
    taken |= {at for name in lexicon.modalities.find(words) for at in range(name.start, name.end)}
    runs = [run for run in _content_runs(words, taken) if not is_negated(words, run)]
    if not [span for span in wanted if not is_location(words, span)]:
        heads = [run for run in runs if not is_location(words, run)] or runs
        return heads[:1] if not spans or wanted else []
    return [run for run in runs if _is_joined(words, run, wanted)]


def _content_runs(words: Words, taken: set[int]) -> Iterator[Span]:
    def is_content(at: int) -> bool:
        word = words[at]
        return at not in taken and word not in STOP_WORDS | CLAUSE_MARKS and not word.isdigit()

    for content, places in groupby(range(len(words)), is_content):
        if content:
            # The head of an English noun phrase is its last word.
            run = list(places)[-MAX_CONCEPT_WORDS:]
            yield Span(run[0], run[-1] + 1, ())


def _is_joined(words: Words, run: Span, wanted: Sequence[Span]) -> bool:
    """Tell whether unknown words stand beside known ones: "the polyp and the zorblax"."""
    before = next((word for word in reversed(words[: run.start]) if word not in DETERMINERS), "")
    joined = before in CONJUNCTIONS or before == ","
    known_before = any(span.end <= run.start for span in wanted)
    ends = run.end == len(words) or words[run.end] in CLAUSE_MARKS | CONJUNCTIONS | LOCATIVES
    return joined and known_before and ends
