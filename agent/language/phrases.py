"""Finds the words of a request that name something, are excluded, or only say where. Pure."""

from collections.abc import Iterator, Sequence
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

Words = tuple[str, ...]


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
    spans: list[Span] = []
    at = 0
    while at < len(words):
        for size in range(min(lexicon.longest, len(words) - at), 0, -1):
            terms = lexicon.terms_of(words[at : at + size])
            if terms:
                spans.append(Span(at, at + size, _composed(words, at, at + size, terms, lexicon)))
                break
        at = spans[-1].end if spans and spans[-1].end > at else at + 1
    return spans


def _composed(
    words: Words, start: int, end: int, terms: tuple[Term, ...], lexicon: Lexicon
) -> tuple[Term, ...]:
    """Settle an ambiguous word by another one: "tumor ... liver" is a liver tumor."""
    if len(terms) == 1:
        return terms
    for context in (*words[:start], *words[end:]):
        composed = lexicon.terms_of((context, *words[start:end]))
        if composed and context not in STOP_WORDS:
            return composed
    return terms


def without_context(words: Words, spans: list[Span], lexicon: Lexicon) -> list[Span]:
    """Drop organs that only say what image it is ("breast ultrasound") and doubled words."""
    kept: list[Span] = []
    for span in spans:
        after = words[span.end : span.end + 3]
        names_image = any(
            after[:size] in lexicon.modality_words for size in range(1, len(after) + 1)
        ) or (after[:1] and after[0] in IMAGE_WORDS)
        is_modality = words[span.start : span.end] in lexicon.modality_words
        if names_image or is_modality:
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
    at = span.start - 1
    while at >= 0 and (words[at] in DETERMINERS or words[at] in STOP_WORDS - LOCATIVES):
        if words[at] in CONJUNCTIONS:
            return False
        at -= 1
    return at >= 0 and words[at] in LOCATIVES


def unknown_spans(
    words: Words, spans: Sequence[Span], wanted: Sequence[Span], lexicon: Lexicon
) -> list[Span]:
    """Find nouns the lexicon does not hold: the head noun, or one joined to known ones."""
    taken = {at for span in spans for at in range(span.start, span.end)}
    taken |= _modality_positions(words, lexicon)
    runs = [run for run in _content_runs(words, taken) if not is_negated(words, run)]
    if not [span for span in wanted if not is_location(words, span)]:
        heads = [run for run in runs if not is_location(words, run)] or runs
        return heads[:1] if not spans or wanted else []
    return [run for run in runs if _is_joined(words, run, wanted)]


def _content_runs(words: Words, taken: set[int]) -> Iterator[Span]:
    start: int | None = None
    for at in range(len(words) + 1):
        is_content = (
            at < len(words)
            and at not in taken
            and words[at] not in STOP_WORDS
            and words[at] not in CLAUSE_MARKS
            and not words[at].isdigit()
        )
        if is_content and start is None:
            start = at
        elif not is_content and start is not None:
            # The head of an English noun phrase is its last word.
            yield Span(max(start, at - MAX_CONCEPT_WORDS), at, ())
            start = None


def _is_joined(words: Words, run: Span, wanted: Sequence[Span]) -> bool:
    """Tell whether unknown words stand beside known ones: "the polyp and the zorblax"."""
    at = run.start - 1
    while at >= 0 and words[at] in DETERMINERS:
        at -= 1
    before = at >= 0 and (words[at] in CONJUNCTIONS or words[at] == ",")
    known_before = any(span.end <= run.start for span in wanted)
    ends = run.end == len(words) or words[run.end] in CLAUSE_MARKS | CONJUNCTIONS | LOCATIVES
    return before and known_before and ends


def _modality_positions(words: Words, lexicon: Lexicon) -> set[int]:
    return {
        position
        for at in range(len(words))
        for size in (1, 2, 3)
        if words[at : at + size] in lexicon.modality_words
        for position in range(at, min(at + size, len(words)))
    }
