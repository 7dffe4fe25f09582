"""Who stands for a target, and what it takes to replace it. Pure.

The incumbent is the best set of the first round that found anything. A later set replaces it only
by a judged win, so the result is never worse, as judged, than that first set.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from agent.masks.quality import FRAME_SHARE
from agent.masks.selection import Size, select
from agent.schemas.plan import Target
from agent.schemas.rounds import Candidate, Verdict

Ids = tuple[str, ...]
Grade = Literal["accept", "partial", "open", "reject"]
_ORDER: dict[Grade, int] = {"accept": 3, "partial": 2, "open": 1, "reject": 0}
# A prior that reaches the whole image says that the mask may cover the frame.
_WHOLE_IMAGE = 0.95


class Option(NamedTuple):
    """A set of masks of one call that could stand for a target.

    Attributes:
        boxed: the call held the caller's box.
        vetoed: code forbids it whatever the judge says.
        quality: mean of its members, [0, 1].
    """

    ids: Ids
    boxed: bool
    vetoed: bool
    quality: float


def grade_of(ids: Ids, verdicts: Mapping[str, Verdict]) -> Grade:
    """Return the worst word on any member; a set with unjudged members is open."""
    words = [verdicts[name].verdict if name in verdicts else "open" for name in ids]
    grades: tuple[Grade, ...] = ("reject", "open", "partial", "accept")
    return next((grade for grade in grades if grade in words), "reject")


def best_option(options: Sequence[Option], verdicts: Mapping[str, Verdict]) -> Option | None:
    """Return the best set: not vetoed, best judged, with the caller's box, best measured."""
    return max(
        options,
        key=lambda option: (
            not option.vetoed,
            _ORDER[grade_of(option.ids, verdicts)],
            option.boxed,
            option.quality,
        ),
        default=None,
    )


def sets_of(
    target: Target,
    candidates: Sequence[Candidate],
    verdicts: Mapping[str, Verdict],
    *,
    size: Size,
) -> list[Ids]:
    """Return the sets that one call's candidates offer for a target.

    Rejected ones take part only when all are rejected. Where one structure is expected every
    candidate is a set of its own. `size` is the image's width and height, in pixels.
    """
    sources = {candidate.derived_from for candidate in candidates}
    whole = [candidate for candidate in candidates if candidate.id not in sources]
    good = [candidate for candidate in whole if grade_of((candidate.id,), verdicts) != "reject"]
    wanted = tuple(kept.id for kept in select(good or whole, target.selection, size))
    if target.count == "one" and target.selection.limit in (None, 1):
        return [(name,) for name in wanted]
    return [wanted] if wanted else []


def is_vetoed(area_share: float, frame_share: float, target: Target) -> bool:
    """Tell whether code forbids a set, whatever a judge says of it.

    Args:
        area_share: of the image that the set covers, [0, 1].
        frame_share: of the image's outermost pixels that it covers, [0, 1].
        target: with the prior of its area.
    """
    low, high = target.area_share
    hugs_frame = frame_share > FRAME_SHARE and high < _WHOLE_IMAGE
    return area_share <= 0.0 or not low <= area_share <= high or hugs_frame


def challenge(
    incumbent: Ids, option: Option, verdicts: Mapping[str, Verdict], *, same: bool
) -> Literal["open", "keep", "compare", "replace"]:
    """Say what a round's best set does to the incumbent; `same` if both cover the same pixels."""
    if not incumbent:
        return "open"
    if (
        option.vetoed
        or same
        or option.ids == incumbent
        or is_accepted_by_client(incumbent, verdicts)
    ):
        return "keep"
    old, new = grade_of(incumbent, verdicts), grade_of(option.ids, verdicts)
    better = {verdicts[name].better_than_incumbent for name in option.ids if name in verdicts}
    if new in ("open", "reject") or "no" in better:
        return "keep"
    if old == "reject" and new == "accept":
        return "replace"
    return "compare" if "yes" in better else "keep"


def wins_comparison(
    first: Literal["first", "second", "same"], swapped: Literal["first", "second", "same"]
) -> bool:
    """Tell whether the challenger won both times.

    Args:
        first: answer with the incumbent shown first.
        swapped: answer with the challenger shown first.
    """
    return first == "second" and swapped == "first"


def is_accepted_by_client(ids: Ids, verdicts: Mapping[str, Verdict]) -> bool:
    """Tell whether a person accepted the set; no model's word goes above that."""
    return any(_client_said(name, verdicts) == "accept" for name in ids)


def is_rejected_by_client(name: str, verdicts: Mapping[str, Verdict]) -> bool:
    """Tell whether a person rejected the candidate; it never comes back."""
    return _client_said(name, verdicts) == "reject"


def _client_said(name: str, verdicts: Mapping[str, Verdict]) -> str | None:
    word = verdicts.get(name)
    return word.verdict if word is not None and word.by == "client" else None


def record_verdicts(known: Mapping[str, Verdict], new: Sequence[Verdict]) -> dict[str, Verdict]:
    """Return the latest word on each candidate; a person's word is never overwritten by a model."""
    merged = dict(known)
    for verdict in new:
        old = merged.get(verdict.candidate)
        if old is None or old.by != "client" or verdict.by == "client":
            merged[verdict.candidate] = verdict
    return merged
