"""Reads a request: what is asked for, what is excluded, which side, how many. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from agent.lexicon import Lexicon, Term, normalise
from agent.modality import modality_of_words
from agent.state import MAX_CONCEPT_WORDS
from agent.words import (
    CLAUSE_MARKS,
    CONJUNCTIONS,
    DETERMINERS,
    IMAGE_WORDS,
    LARGEST,
    LOCATIVES,
    NEGATION_CANCELS,
    NEGATION_ENDS,
    NEGATIONS,
    NUMBERS,
    QUESTION_STARTS,
    SEVERAL,
    SMALLEST,
    STOP_WORDS,
)

Words = tuple[str, ...]
_SIDES: dict[str, Literal["left", "right"]] = {"left": "left", "right": "right"}


class Modifiers(NamedTuple):
    """What the words around a term say about which of its masks are wanted.

    Attributes:
        frame: whose left is meant: ``patient`` or ``image``, None when the words do not say.
        several: the words ask for more than one.
    """

    side: Literal["left", "right"] | None = None
    frame: Literal["patient", "image"] | None = None
    rank: Literal["largest", "smallest"] | None = None
    limit: int | None = None
    several: bool = False


PLAIN = Modifiers()


class Span(NamedTuple):
    """Words ``start`` to ``end`` (half-open) of the request, and what they may mean."""

    start: int
    end: int
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Mention:
    """One thing that is asked for.

    Attributes:
        words: the caller's words, normalised.
        terms: what they may mean, () for words the lexicon does not hold.
        where: the caller's words on the place, or "".
    """

    words: Words
    terms: tuple[Term, ...]
    modifiers: Modifiers = PLAIN
    where: str = ""


@dataclass(frozen=True)
class Reading:
    """What a request says.

    Attributes:
        asked: things to outline, in the order of the request.
        excluded: things the request says it does not want.
        modality: as named in the request, or ``unknown``.
        modifiers: of the whole request, for requests without a noun ("only the left one").
    """

    words: Words
    asked: tuple[Mention, ...]
    excluded: tuple[Mention, ...]
    modality: str
    modifiers: Modifiers
    is_question: bool


def read_request(text: str, lexicon: Lexicon) -> Reading:
    """Read a request with the lexicon's words."""
    words = _repeat_shared_noun(normalise(text), lexicon)
    spans = _without_context(words, _find_terms(words, lexicon), lexicon)
    is_question = "?" in words or (words[:1] != () and words[0] in QUESTION_STARTS)
    negated = {span for span in spans if _is_negated(words, span)}
    if len(negated) == len(spans) and is_question:
        negated = set()
    wanted = [span for span in spans if span not in negated]
    unknown = _unknown_spans(words, spans, wanted, lexicon)
    located = [span for span in wanted if _is_location(words, span)]
    heads = sorted({*wanted, *unknown} - set(located)) or wanted
    places = [span for span in located if span not in heads]
    return Reading(
        words=words,
        asked=_merge([_mention(words, span, heads, places) for span in heads]),
        excluded=tuple(_mention(words, span, [span], []) for span in sorted(negated)),
        modality=modality_of_words(words, lexicon),
        modifiers=_modifiers(words),
        is_question=is_question,
    )


def _repeat_shared_noun(words: Words, lexicon: Lexicon) -> Words:
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


def _find_terms(words: Words, lexicon: Lexicon) -> list[Span]:
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


def _without_context(words: Words, spans: list[Span], lexicon: Lexicon) -> list[Span]:
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


def _is_negated(words: Words, span: Span) -> bool:
    """Tell whether a negation before the span still holds at the span."""
    holds = False
    for at in range(span.start):
        word = words[at]
        if word in NEGATIONS or words[at : at + 2] in (("other", "than"), ("apart", "from")):
            # "yes or no" and "or not" ask; they exclude nothing.
            holds = words[at - 1 : at] != ("or",)
        elif (
            (word in NEGATION_CANCELS and holds and words[at - 1] in NEGATIONS)
            or word in NEGATION_ENDS
            or word in CLAUSE_MARKS
        ):
            holds = False
    return holds


def _is_location(words: Words, span: Span) -> bool:
    """Tell whether the span says where something is ("in the left lung")."""
    at = span.start - 1
    while at >= 0 and (words[at] in DETERMINERS or words[at] in STOP_WORDS - LOCATIVES):
        if words[at] in CONJUNCTIONS:
            return False
        at -= 1
    return at >= 0 and words[at] in LOCATIVES


def _unknown_spans(
    words: Words, spans: Sequence[Span], wanted: Sequence[Span], lexicon: Lexicon
) -> list[Span]:
    """Find nouns the lexicon does not hold: the head noun, or one joined to known ones."""
    taken = {at for span in spans for at in range(span.start, span.end)}
    taken |= _modality_positions(words, lexicon)
    runs = [run for run in _content_runs(words, taken) if not _is_negated(words, run)]
    if not [span for span in wanted if not _is_location(words, span)]:
        heads = [run for run in runs if not _is_location(words, run)] or runs
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


def _mention(words: Words, span: Span, heads: Sequence[Span], places: Sequence[Span]) -> Mention:
    """Gather what stands around a span, up to its neighbours among the heads."""
    before = max((head.end for head in heads if head.end <= span.start), default=0)
    after = min((head.start for head in heads if head.start >= span.end), default=len(words))
    left = _since_break(words[before : span.start])
    right = _until_break(words[span.end : after])
    # The "left" of "of the left ventricle" is part of a name and no side.
    named = {at for place in places for at in range(place.start, place.end)}
    beside = (w for at, w in enumerate(right, span.end) if at not in named)
    place = next(
        (place for place in places if span.end <= place.start < span.end + len(right)), None
    )
    return Mention(
        words=words[span.start : span.end],
        terms=span.terms,
        modifiers=_modifiers((*left, *beside)),
        where=" ".join(words[span.end : place.end]) if place else "",
    )


def _since_break(words: Words) -> Words:
    """Return the words after the last clause mark, or after a joint unless it joins sides."""
    for at in range(len(words) - 1, -1, -1):
        if words[at] in CLAUSE_MARKS | CONJUNCTIONS:
            return words[at + 1 :]
    return words


def _until_break(words: Words) -> Words:
    for at, word in enumerate(words):
        if word in CLAUSE_MARKS | CONJUNCTIONS or word in NEGATIONS:
            return words[:at]
    return words


def _modifiers(words: Words) -> Modifiers:
    """Read side, rank and number from the words around a term."""
    sides = [_SIDES[word] for word in words if word in _SIDES]
    rank: Literal["largest", "smallest"] | None = None
    if LARGEST & set(words):
        rank = "largest"
    elif SMALLEST & set(words):
        rank = "smallest"
    number = next((NUMBERS[word] for word in words if word in NUMBERS), None)
    return Modifiers(
        side=sides[0] if len(set(sides)) == 1 else None,
        frame=_frame(words),
        rank=rank,
        limit=(number or 1) if rank else None,
        several=bool(SEVERAL & set(words)) or (number or 1) > 1,
    )


def _frame(words: Words) -> Literal["patient", "image"] | None:
    if "patient" in words:
        return "patient"
    return "image" if IMAGE_WORDS & set(words) else None


def _merge(mentions: list[Mention]) -> tuple[Mention, ...]:
    """Join mentions of the same thing; what any of them says about it holds."""
    merged: dict[tuple[object, ...], Mention] = {}
    for mention in mentions:
        key = mention.terms or mention.words
        first = merged.get(key)
        if first is None:
            merged[key] = mention
        elif first.modifiers.side != mention.modifiers.side:
            # "the left lung and the right lung": both.
            merged[key] = replace(first, modifiers=Modifiers(several=True))
    return tuple(merged.values())
