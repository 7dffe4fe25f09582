"""A thread on the way to a run: what a person's word does to its targets and masks.

The functions change the thread they are given, and nothing else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agent.masks.selection import cut_pieces, select, to_mask
from agent.planners.targets import REGION_LABEL
from agent.policy.ledger import Ids
from agent.policy.next_calls import Flaw
from agent.schemas.plan import Selection, Target
from agent.schemas.rounds import Candidate, Issue, Status, Verdict
from agent.schemas.runs import ResultMask, TargetResult, ThreadRecord
from segmenter.contract import Box
from segmenter.masks.rle import decode


@dataclass
class OpenThread:
    """A thread on the way to a run's opening."""

    thread: ThreadRecord
    targets: dict[str, TargetResult]
    candidates: dict[str, Candidate]
    next_mask: int
    verdicts: list[Verdict] = field(default_factory=list)
    reopened: dict[str, Target] = field(default_factory=dict)
    flaws: dict[str, Flaw] = field(default_factory=dict)
    boxes: dict[str, Box] = field(default_factory=dict)


def repeat_verdicts(opened: OpenThread) -> None:
    """What a person rejected, or what stands by their word, is so in every later run."""
    for mask_id in opened.thread.rejected:
        opened.verdicts.append(Verdict(candidate=mask_id, verdict="reject", by="client"))
    for result in opened.thread.targets:
        for mask in result.masks:
            if mask.verdict is not None:
                opened.verdicts.append(
                    Verdict(candidate=mask.candidate.id, verdict=mask.verdict, by=mask.by)
                )


def accept(mask_id: str, opened: OpenThread) -> None:
    """Let a mask stand for its target by a person's word."""
    candidate = opened.candidates[mask_id]
    opened.verdicts.append(Verdict(candidate=mask_id, verdict="accept", by="client"))
    old = opened.targets.get(candidate.target) or _forgotten(candidate)
    others = [mask for mask in old.masks if mask.candidate.id != mask_id]
    stay = others if old.target.count != "one" else []
    accepted = ResultMask(
        candidate=candidate, label=old.target.label, verdict="accept", by="client"
    )
    opened.targets[candidate.target] = old.model_copy(
        update={"status": Status.FOUND, "masks": (*stay, accepted), "reason": ""}
    )


def _forgotten(candidate: Candidate) -> TargetResult:
    """Return a target for a mask whose own is gone: it had shown nothing, or was removed."""
    label = candidate.concept or REGION_LABEL
    phrases = (candidate.concept,) if candidate.concept else ()
    target = Target(id=candidate.target, label=label, phrases=phrases)
    return TargetResult(target=target, status=Status.UNCERTAIN, masks=())


def reject(mask_id: str, opened: OpenThread, issue: Issue) -> None:
    """Take a mask away for good, and work on its target again."""
    drop(mask_id, opened)
    candidate = opened.candidates[mask_id]
    if candidate.target in opened.targets:
        target = opened.targets[candidate.target].target
        reopen(target, opened)
        opened.flaws[target.id] = Flaw(issue, candidate, None)


def drop(mask_id: str, opened: OpenThread) -> None:
    """Take a mask away for good; a target that loses its last one goes with it."""
    opened.verdicts.append(Verdict(candidate=mask_id, verdict="reject", by="client"))
    key = opened.candidates[mask_id].target
    if key in opened.targets:
        left = tuple(mask for mask in opened.targets[key].masks if mask.candidate.id != mask_id)
        opened.targets[key] = opened.targets[key].model_copy(update={"masks": left})


def reopen(target: Target | None, opened: OpenThread, *, box: Box | None = None) -> None:
    """Work on a target again, in the person's box if there is one."""
    if target is None:
        return
    opened.reopened[target.id] = target
    if box is not None:
        opened.boxes[target.id] = box


def find_fault(mask_id: str, issue: Issue, opened: OpenThread) -> None:
    """A wrong mask goes for good; one of a wrong size stands until a better one is found."""
    if issue is Issue.WRONG_STRUCTURE:
        reject(mask_id, opened, issue)
        return
    candidate = opened.candidates[mask_id]
    target = opened.targets[candidate.target].target
    reopen(target, opened)
    opened.flaws[target.id] = Flaw(issue, candidate, None)
    opened.verdicts.append(Verdict(candidate=mask_id, verdict="partial", issue=issue, by="client"))


def keep_only(masks: Iterable[str], opened: OpenThread) -> None:
    """Drop the other masks of the targets that these belong to."""
    keys = {opened.candidates[mask_id].target for mask_id in masks}
    for key in keys & set(opened.targets):
        for other in mask_ids(opened.targets[key]):
            if other not in masks:
                drop(other, opened)


def forget_empty(opened: OpenThread) -> None:
    """Take away targets that have lost their last mask and are not worked on again."""
    for key in [key for key, result in opened.targets.items() if not result.masks]:
        if key not in opened.reopened:
            del opened.targets[key]


def narrow(selections: Mapping[str, Selection], opened: OpenThread) -> None:
    """Keep only the wanted masks of targets, cutting masks of several pieces apart.

    A target of which nothing is wanted shows nothing, and says why: another mask would be wrong.
    """
    for key, selection in selections.items():
        result = opened.targets[key]
        pieces = [piece for mask in result.masks for piece in _pieces(mask, opened)]
        chosen = select(
            [piece.candidate for piece in pieces], selection, width=opened.thread.image.width
        )
        ids = {candidate.id for candidate in chosen}
        kept = tuple(piece for piece in pieces if piece.candidate.id in ids)
        target = result.target.model_copy(update={"selection": selection})
        if not kept:
            opened.targets[key] = _nothing_fits(target)
            continue
        opened.targets[key] = result.model_copy(update={"target": target, "masks": kept})
        opened.verdicts += [
            Verdict(candidate=mask_id, verdict="accept", by="client") for mask_id in sorted(ids)
        ]


def _nothing_fits(target: Target) -> TargetResult:
    side = target.selection.side
    where = f" on the image's {side}" if side else ""
    reason = f"nothing that was found for {target.label} is{where or ' left'}"
    return TargetResult(target=target, status=Status.UNCERTAIN, masks=(), reason=reason)


def _pieces(mask: ResultMask, opened: OpenThread) -> list[ResultMask]:
    pieces = cut_pieces(mask.candidate, decode(mask.candidate.mask.rle))
    if not pieces:
        return [mask]
    parts: list[ResultMask] = []
    for piece in pieces:
        part = mask.candidate.model_copy(
            update={
                "id": f"m{opened.next_mask}",
                "mask": to_mask(mask.candidate.mask, piece.mask),
                "derived_from": mask.candidate.id,
            }
        )
        opened.next_mask += 1
        opened.candidates[part.id] = part
        parts.append(
            mask.model_copy(update={"candidate": part, "area_mm2": None, "measures": None})
        )
    return parts


def next_target(opened: OpenThread) -> int:
    """Return the number of the next new target."""
    numbers = [int(key[1:]) + 1 for key in opened.targets]
    return max([opened.thread.next_target, *numbers])


def last_key(opened: OpenThread) -> str:
    """Return the id of the latest target; there must be one."""
    return next(reversed(opened.targets))


def last_target(opened: OpenThread) -> Target | None:
    """Return the latest target, None if there is none."""
    return opened.targets[last_key(opened)].target if opened.targets else None


def mask_ids(result: TargetResult) -> Ids:
    """Return the ids of a target's masks."""
    return tuple(mask.candidate.id for mask in result.masks)
