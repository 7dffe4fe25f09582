"""Whether a model knows a target on the kind of picture that is there. Pure.

A model that never saw a structure on such pictures finds nothing there, and that says nothing.
"""

from collections.abc import Collection
from typing import NamedTuple

from agent.language.lexicon import Lexicon
from agent.language.modality import UNKNOWN, modality_of_name
from agent.policy.calls import listed_phrases
from agent.schemas.plan import Target
from segmenter.contract import Capabilities, PromptResult

# Presence from which a concept of another kind of picture tells that the picture is of that kind.
# On 8 test images of each set the first concept of the picture's own kind had at least 0.98 on
# chest X-ray, heart MRI and colonoscopy, and concepts of other kinds at most 0.92.
TELLING_PRESENCE = 0.95


class Seen(NamedTuple):
    """What is known of the kind of picture.

    Attributes:
        modality: its name, or ``unknown``.
        possible: modalities it may be of.
        kind: as a concept of that kind told ("chest X-ray"), "" where none did.
        witness: that concept.
    """

    modality: str
    possible: Collection[str]
    kind: str = ""
    witness: str = ""


def kinds_of(target: Target, capabilities: Capabilities) -> tuple[str, ...]:
    """Return the kinds of picture a model knows a target on; () for any, or none at all."""
    listed = listed_phrases(target, capabilities)
    if not all(phrase in capabilities.pictures for phrase in listed):
        return ()
    return tuple(dict.fromkeys(capabilities.pictures[phrase] for phrase in listed))


def witnesses(kinds: Collection[str], capabilities: Capabilities) -> dict[str, str]:
    """Return by concept the other kinds of picture: the first concept of each."""
    firsts: dict[str, str] = {}
    for concept, kind in capabilities.pictures.items():
        if kind not in kinds and kind not in firsts.values():
            firsts[concept] = kind
    return firsts


def tell_kind(seen: Seen, asked: dict[str, str], answers: Collection[PromptResult]) -> Seen:
    """Return what the answers of the witnesses add; they are in the order they were asked."""
    told = [
        (answer.presence, concept)
        for concept, answer in zip(asked, answers, strict=True)
        if answer.presence >= TELLING_PRESENCE and answer.masks
    ]
    if not told:
        return seen
    _, concept = max(told)
    return seen._replace(kind=asked[concept], witness=concept)


def why_unfit(target: Target, seen: Seen, capabilities: Capabilities, lexicon: Lexicon) -> str:
    """Say why a model cannot look for a target on this picture, "" if nothing speaks against it."""
    kinds = kinds_of(target, capabilities)
    if not kinds:
        return ""
    known = ", ".join(
        f"{phrase} on {capabilities.pictures[phrase]}"
        for phrase in listed_phrases(target, capabilities)
    )
    start = f"cannot look for {target.label} here: this model knows {known} only"
    if seen.kind and seen.kind not in kinds:
        return f"{start}, and this looks like {seen.kind} ({seen.witness} seen)"
    modalities = {modality_of_name(kind, lexicon) for kind in kinds}
    if modalities & set(seen.possible):
        return ""
    named = "" if seen.modality == UNKNOWN else f", and this is {seen.modality}"
    return f"{start}{named or ', and this is another kind of picture'}"
