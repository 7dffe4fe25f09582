"""What a run tells a person: one sentence a thing, in plain words. Pure."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from agent.masks.selection import name_side
from agent.schemas.intent import Correction, Talk
from agent.schemas.plan import Target
from agent.schemas.rounds import Failure, Status, TargetOutcome
from segmenter.contract import Capabilities

# As many concepts as a sentence can list.
LISTED_CONCEPTS = 20
_FEW_CONCEPTS = 6
_NOTHING_ASKED = "The request does not say what to outline; name a structure or draw a box."
_NOTHING_THERE = "Nothing is outlined here yet: name a structure or draw a box first."


class Said(NamedTuple):
    """What a request said beside its targets, and what was done of it.

    Attributes:
        done: what was done, or why not.
        asks: it holds a question.
        emptied: it took away all that stood, and asked for nothing else.
        cleaned: what code did to the masks of a target, by their ids.
    """

    done: tuple[str, ...] = ()
    not_understood: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()
    talk: Talk | None = None
    asks: bool = False
    emptied: bool = False
    cleaned: Mapping[tuple[str, ...], str] = MappingProxyType({})


def run_message(
    ended: Sequence[TargetOutcome],
    targets: Mapping[str, Target],
    said: Said,
    failure: Failure | None,
    capabilities: Capabilities | None,
) -> str:
    """Say how a run ended: what was done, every target, and what was not understood."""
    if failure is not None and all(outcome.status is Status.FAILED for outcome in ended):
        return failure.message
    sentences = [_capital(f"{note}.") for note in said.done]
    sentences += [
        _sentence(outcome, targets.get(outcome.target), said.cleaned.get(outcome.masks, ""))
        for outcome in ended
    ]
    if said.talk is not None:
        sentences.append(talk_line(said.talk, capabilities))
    elif not sentences:
        sentences.append(_NOTHING_THERE if said.asks else _NOTHING_ASKED)
    sentences += [f"Read {one.typed!r} as {one.read!r}." for one in said.corrections]
    if said.not_understood:
        parts = ", ".join(f'"{part}"' for part in said.not_understood)
        sentences.append(f"Not understood: {parts}.")
    return " ".join(sentences)


def _capital(text: str) -> str:
    """Start a sentence; labels keep their own letters."""
    return text[:1].upper() + text[1:]


def _sentence(outcome: TargetOutcome, target: Target | None, done: str) -> str:
    """Say how a target ended, and what code did to its masks."""
    label = target.label if target else outcome.target
    many = f"{len(outcome.masks)} masks" if len(outcome.masks) > 1 else "1 mask"
    side = side_words(target) if target and outcome.masks else ""
    head = {
        Status.FOUND: f"{label}: found, {many}{side}",
        Status.NOT_FOUND: f"{label}: not found",
        Status.UNCERTAIN: f"{label}: uncertain{side}",
        Status.FAILED: f"{label}: failed",
    }[outcome.status]
    if outcome.reason and outcome.status is not Status.NOT_FOUND:
        head += f" ({outcome.reason})"
    return f"{head}; {done}." if done else f"{head}."


def side_words(target: Target) -> str:
    """Say which side was taken, and whose it is; "" where none was asked for."""
    side = target.selection.side
    return f", on {name_side(side, target.frame)}" if side else ""


def talk_line(talk: Talk, capabilities: Capabilities | None) -> str:
    """Answer what asks for nothing in the image: one line of what this service can do."""
    if talk == "thanks":
        return "You are welcome."
    if talk == "other_language":
        return (
            "Requests are read in English, German, French, Spanish, Portuguese, Italian, Chinese"
            " and Japanese."
        )
    return (
        "This service outlines structures in medical images, measures the outlines and changes"
        f" them on request{_examples(capabilities)}."
    )


def _examples(capabilities: Capabilities | None) -> str:
    if capabilities is None or not capabilities.concepts:
        return "; name a structure or draw a box"
    few = capabilities.concepts[:_FEW_CONCEPTS]
    more = " and others" if len(capabilities.concepts) > len(few) else ""
    return f"; this model knows {', '.join(few)}{more}"
