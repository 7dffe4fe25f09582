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
# The least of 0.9, 0.95, 0.97, 0.98, 0.99, 0.995 at which no concept of another kind told, on 185
# images of the train split of twelve sets (5 to 24 each; no Drishti-GS, none of COVID-QU-Ex): at
# 0.95 one did (an optic disc on a colonoscopy, 0.978), at 0.9 five. The own kind told on 152 of
# them (161 at 0.95), on all chest X-rays and heart and prostate MRI, on 10 of 24 breast
# ultrasounds, 5 of 10 brain MRI and 2 of 10 DRIVE photographs: where it does not, "found none"
# stays. Of 6 structures that were there and not found none became "cannot look for that here".
# Other pictures may err.
TELLING_PRESENCE = 0.98


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
