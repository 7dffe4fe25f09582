"""Reads a request: what is asked for, what is excluded, which side, how many. Pure."""

from collections.abc import Sequence
from itertools import takewhile
from typing import Literal

from agent.language.commands import Command, is_undo, read_command
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
from agent.language.lexicon import Lexicon, normalise
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
from agent.schemas.intent import ANY, Intent, Operation, Rank, Thing, Which
from segmenter.words.phrases import Words

_BREAKS = CLAUSE_MARKS | CONJUNCTIONS
_SIDES: dict[str, Literal["left", "right"]] = {"left": "left", "right": "right"}


def read_request(text: str, lexicon: Lexicon) -> Intent:
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
    asked = _merge([_thing(words, span, heads, places) for span in heads])
    excluded = tuple(_plain(words, span) for span in sorted(negated))
    operations = _operations(read_command(said), asked, excluded, _which(words), text)
    spoken = {thing for operation in operations for thing in operation.things}
    return Intent(
        find=tuple(thing for thing in asked if thing not in spoken),
        operations=operations,
        modality=modality_of_words(words, lexicon),
    )


def _operations(
    command: Command,
    asked: tuple[Thing, ...],
    excluded: tuple[Thing, ...],
    which: Which,
    text: str,
) -> tuple[Operation, ...]:
    """Return what is to be done with masks that are there."""
    if is_undo(text):
        return (Operation(act="undo", words=text),)
    if command.act == "drop" and not command.masks:
        return (Operation(act="drop", things=(*asked, *excluded)),)
    first = _of_masks(command) if command.masks else _of_things(command, asked, which)
    rest = [Operation(act="exclude", things=excluded)] if excluded else []
    return tuple([first, *rest] if first else rest)


def _of_masks(command: Command) -> Operation | None:
    if command.only and command.act in ("accept", None):
        return Operation(act="keep", masks=command.masks)
    return Operation(act=command.act, masks=command.masks) if command.act else None


def _of_things(command: Command, asked: tuple[Thing, ...], which: Which) -> Operation | None:
    if command.act is not None and command.act != "accept":
        return Operation(act=command.act)
    if command.only and asked:
        return Operation(act="keep", things=asked)
    return Operation(act="keep", which=which) if not asked and which != ANY else None


def _plain(words: Words, span: Span) -> Thing:
    named = tuple(term.label for term in span.terms)
    return Thing(words=" ".join(words[span.start : span.end]), terms=named)


def _is_question(words: Words) -> bool:
    """Tell whether a request asks: "Do not outline it" orders; "Do you see it" asks."""
    asks = not QUESTION_STARTS.isdisjoint(words[:1]) and words[1:2] != ("not",)
    return "?" in words or asks


def _thing(words: Words, span: Span, heads: Sequence[Span], places: Sequence[Span]) -> Thing:
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
    which = _which((*left, *beside))
    return _plain(words, span).model_copy(
        update={
            "which": which.model_copy(update={"frame": _frame(left) or _frame(right)}),
            "where": " ".join(words[span.end : place.end]) if place else "",
        }
    )


def _which(words: Sequence[str]) -> Which:
    """Read side, rank and number from the words around a term."""
    sides = [_SIDES[word] for word in words if word in _SIDES]
    rank: Rank | None = None
    if LARGEST & set(words):
        rank = "largest"
    elif SMALLEST & set(words):
        rank = "smallest"
    number = next((NUMBERS[word] for word in words if word in NUMBERS), None)
    return Which(
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


def _merge(things: list[Thing]) -> tuple[Thing, ...]:
    """Join mentions of the same thing; what any of them says about it holds."""
    merged: dict[object, Thing] = {}
    for thing in things:
        key = thing.terms or thing.words
        first = merged.get(key)
        if first is None:
            merged[key] = thing
        elif first.which.side != thing.which.side:
            # "the left lung and the right lung": both.
            merged[key] = first.model_copy(update={"which": Which(several=True)})
    return tuple(merged.values())
