"""Reads a request: what is asked for, what is excluded, which side, how many. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Literal, NamedTuple

from agent.language.commands import Command, read_command
from agent.language.function_words import (
    CLAUSE_MARKS,
    CONJUNCTIONS,
    IMAGE_SIDE_LINKS,
    IMAGE_WORDS,
    LARGEST,
    NEGATIONS,
    NUMBERS,
    QUESTION_STARTS,
    SEVERAL,
    SMALLEST,
)
from agent.language.lexicon import Lexicon, Term, normalise
from agent.language.modality import modality_of_words
from agent.language.phrases import (
    Span,
    find_terms,
    is_location,
    is_negated,
    repeat_shared_noun,
    unknown_spans,
    without_context,
)
from segmenter.words.phrases import Words

_BREAKS = CLAUSE_MARKS | CONJUNCTIONS
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
    """What a request says; read once, and handed to whoever acts on it.

    Attributes:
        text: the caller's own words; data, never instructions to code.
        asked: things to outline, in the order of the request.
        excluded: things the request says it does not want.
        modality: as named in the request, or ``unknown``.
        modifiers: of the whole request, for requests without a noun ("only the left one").
        command: what it wants of masks that are there.
    """

    text: str
    asked: tuple[Mention, ...]
    excluded: tuple[Mention, ...]
    modality: str
    modifiers: Modifiers
    command: Command


def read_request(text: str, lexicon: Lexicon) -> Reading:
    """Read a request with the lexicon's words."""
    said = normalise(text)
    words = repeat_shared_noun(said, lexicon)
    spans = without_context(words, find_terms(words, lexicon), lexicon)
    negated = {span for span in spans if is_negated(words, span)}
    if len(negated) == len(spans) and _is_question(words):
        negated = set()
    wanted = [span for span in spans if span not in negated]
    unknown = unknown_spans(words, spans, wanted, lexicon)
    located = [span for span in wanted if is_location(words, span)]
    heads = sorted({*wanted, *unknown} - set(located)) or wanted
    places = [span for span in located if span not in heads]
    return Reading(
        text=text,
        asked=_merge([_mention(words, span, heads, places) for span in heads]),
        excluded=tuple(
            Mention(words[span.start : span.end], span.terms) for span in sorted(negated)
        ),
        modality=modality_of_words(words, lexicon),
        modifiers=_modifiers(words),
        command=read_command(said),
    )


def _is_question(words: Words) -> bool:
    """Tell whether a request asks: "Do not outline it" orders; "Do you see it" asks."""
    asks = not QUESTION_STARTS.isdisjoint(words[:1]) and words[1:2] != ("not",)
    return "?" in words or asks


def _mention(words: Words, span: Span, heads: Sequence[Span], places: Sequence[Span]) -> Mention:
    """Gather what stands around a span, up to its neighbours among the heads."""
    before = max((head.end for head in heads if head.end <= span.start), default=0)
    after = min((head.start for head in heads if head.start >= span.end), default=len(words))
    left = [*takewhile(lambda word: word not in _BREAKS, reversed(words[before : span.start]))]
    left.reverse()
    ends = _BREAKS | NEGATIONS
    right = [*takewhile(lambda word: word not in ends, words[span.end : after])]
    # The "left" of "of the left ventricle" is part of a name and no side.
    named = {at for place in places for at in range(place.start, place.end)}
    beside = (word for at, word in enumerate(right, span.end) if at not in named)
    place = next(
        (place for place in places if span.end <= place.start < span.end + len(right)), None
    )
    return Mention(
        words=words[span.start : span.end],
        terms=span.terms,
        modifiers=_modifiers((*left, *beside))._replace(frame=_frame(left) or _frame(right)),
        where=" ".join(words[span.end : place.end]) if place else "",
    )


def _modifiers(words: Sequence[str]) -> Modifiers:
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


def _frame(words: Sequence[str]) -> Literal["patient", "image"] | None:
    """Tell whose sides are meant: "left of the image" is the image's, "left lung in the image" not.

    Most requests name the image somewhere; only what is tied to the side itself says anything.
    """
    if "patient" in words:
        return "patient"
    sides = [at for at, word in enumerate(words) if word in _SIDES]
    return "image" if any(_is_of_image(words, at) for at in sides) else None


def _is_of_image(words: Sequence[str], at: int) -> bool:
    after = next((word for word in words[at + 1 :] if word not in IMAGE_SIDE_LINKS), "")
    return after in IMAGE_WORDS or not IMAGE_WORDS.isdisjoint(words[at - 1 : at])


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
