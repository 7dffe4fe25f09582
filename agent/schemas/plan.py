"""What is planned: targets, calls, selections."""

from typing import Annotated, Literal

from pydantic import Field

from agent.schemas.intent import Height, Intent, Rank
from segmenter.contract import BoxPrompt, Fraction, Frozen

# The paper's number of rounds (section 4.4).
MAX_ROUNDS = 3
MAX_TARGETS = 4
MAX_CALLS_PER_ROUND = 4
MAX_CONCEPT_WORDS = 3


class Selection(Frozen):
    """Which of a target's masks are wanted, decided by code.

    Attributes:
        side: ``left`` or ``right`` as seen in the image, after translating the request's meaning.
        place: the upper or lower half of the image, or the middle third of its height.
        rank: what the masks are ordered by, the first one first.
        nth: from 1: where counting begins in that order; "second largest" is 2.
        limit: at most so many masks.
        border: masks that touch the image's border, or those that do not.
    """

    side: Literal["left", "right"] | None = None
    place: Height | None = None
    rank: Rank | None = None
    nth: Annotated[int, Field(ge=1)] = 1
    limit: Annotated[int, Field(ge=1)] | None = None
    border: Literal["touching", "clear"] | None = None


EVERY = Selection()


class Target(Frozen):
    """One thing the request asks for.

    Attributes:
        id: ``t1``, ``t2`` ... stable within a thread.
        label: the caller's word for it, normalised.
        phrases: phrases to try, first choice first; each a concept of one to three words. Empty
            when only a box says what is meant.
        count: how many are expected.
        where: the planner's words on the place, or "".
        area_share: least and greatest plausible share of the image, [0, 1].
        known: False when neither the lexicon nor the planner knows the term.
        frame: whose left and right the request's words mean on this image, as far as the first
            run could tell; None where nothing was read.
        touching: many small objects, which are told apart where they touch.
    """

    id: str
    label: str
    phrases: tuple[str, ...]
    count: Literal["one", "several", "unknown"] = "unknown"
    where: str = ""
    selection: Selection = Selection()
    area_share: tuple[float, float] = (0.0, 1.0)
    known: bool = True
    frame: Literal["patient", "image"] | None = None
    touching: bool = False


class Call(Frozen):
    """One prompt to the tool, made for one target.

    Attributes:
        threshold: lowered joint-score threshold, or None for the model's own.
    """

    target: str
    concept: str | None
    boxes: tuple[BoxPrompt, ...] = ()
    threshold: Fraction | None = None


class Plan(Frozen):
    """What the planner made of the request.

    Attributes:
        modality: short word ("ultrasound"), or "unknown".
        note: the planner's remark for a person, plain text, capped.
        intent: what a model made of the request; None of the rules, whose intent is read before.
    """

    decision: Literal["segment", "absent", "unclear"]
    modality: str
    targets: tuple[Target, ...]
    calls: tuple[Call, ...]
    note: str = ""
    intent: Intent | None = None
