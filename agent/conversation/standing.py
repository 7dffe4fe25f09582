"""The masks that stand while a request is carried out: before its run finds more, and after.

The functions change the masks they are given, and nothing else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agent.language.lexicon import normalise
from agent.masks.selection import Size, cut_pieces, to_mask
from agent.planners.targets import REGION_LABEL
from agent.policy.ledger import Ids
from agent.policy.next_calls import Flaw
from agent.schemas.intent import Operation, Thing
from agent.schemas.plan import Target
from agent.schemas.rounds import Candidate, Issue, Status, Verdict
from agent.schemas.runs import ResultMask, TargetResult
from segmenter.contract import BinaryMask, Box, ImageRef
from segmenter.masks.rle import decode


@dataclass
class Standing:
    """Targets and their masks, and what was done with them.

    Attributes:
        targets: by id, in the order of their ids' first use.
        candidates: every mask that is known, by id.
        next_target: number of the first free target id.
        spoken: what "it" means: the targets that were spoken of last.
        touched: ids of the targets that this request speaks of.
        reopened: targets to work on again; their flaws and boxes, and those to look for with a
            lowered threshold.
        unfitting: ids of the targets of which a qualifier leaves nothing; they say so.
        removed: labels of the targets that this request took away.
        notes: what was done, or why not, in plain words.
    """

    image: ImageRef
    targets: dict[str, TargetResult]
    candidates: dict[str, Candidate]
    next_mask: int
    modality: str = "unknown"
    next_target: int = 1
    spoken: tuple[Target, ...] = ()
    touched: list[str] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    reopened: dict[str, Target] = field(default_factory=dict)
    flaws: dict[str, Flaw] = field(default_factory=dict)
    boxes: dict[str, Box] = field(default_factory=dict)
    retried: set[str] = field(default_factory=set)
    unfitting: set[str] = field(default_factory=set)
    removed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def size(self) -> Size:
        """Width and height of the image, in pixels."""
        return self.image.width, self.image.height

    def label(self, key: str) -> str:
        """Return what a target is called."""
        return self.targets[key].target.label

    def mask(self, mask_id: str) -> BinaryMask:
        """Return a candidate's mask: bool, shape (H, W)."""
        return decode(self.candidates[mask_id].mask.rle)


def mask_ids(result: TargetResult) -> Ids:
    """Return the ids of a target's masks."""
    return tuple(mask.candidate.id for mask in result.masks)


def named_targets(things: Iterable[Thing], standing: Standing) -> list[str]:
    """Return the ids of the targets that some things are."""
    labels = {key: normalise(result.target.label) for key, result in standing.targets.items()}
    return [
        key
        for thing in things
        for key, label in labels.items()
        if label == normalise(thing.words) or label in set(map(normalise, thing.terms))
    ]


def meant_targets(operation: Operation, standing: Standing) -> list[str]:
    """Return the ids of the targets an operation is about: what it names, else "it"."""
    if operation.things:
        return list(dict.fromkeys(named_targets(operation.things, standing)))
    return it(standing)


def it(standing: Standing) -> list[str]:
    """Return the ids of what was spoken of last, as far as it stands, else of the only target."""
    spoken = [target.id for target in standing.spoken if target.id in standing.targets]
    only = list(standing.targets) if len(standing.targets) == 1 else []
    return spoken or only


def derive(mask: ResultMask, pixels: BinaryMask, standing: Standing) -> ResultMask:
    """Keep a mask (bool, shape (H, W), not empty) that a person had made of another one."""
    made = mask.candidate.model_copy(
        update={
            "id": f"m{standing.next_mask}",
            "mask": to_mask(mask.candidate.mask, pixels),
            "derived_from": mask.candidate.id,
        }
    )
    standing.next_mask += 1
    standing.candidates[made.id] = made
    return mask.model_copy(update={"candidate": made, "area_mm2": None, "measures": None})


def pieces_of(key: str, standing: Standing, *, touching: bool | None = None) -> list[ResultMask]:
    """Return a target's masks, those of several pieces cut apart."""
    result = standing.targets[key]
    # What has masks of its own already is not cut where it only seems to touch itself.
    apart = result.target.touching and len(result.masks) == 1 if touching is None else touching
    pieces: list[ResultMask] = []
    for mask in result.masks:
        parts = cut_pieces(mask.candidate, standing.mask(mask.candidate.id), touching=apart)
        pieces += [derive(mask, part.mask, standing) for part in parts] or [mask]
    return pieces


def show(key: str, masks: Sequence[ResultMask], standing: Standing, **changes: object) -> None:
    """Let these masks stand for a target, by a person's word."""
    label = standing.label(key)
    shown = tuple(
        mask.model_copy(update={"label": label, "verdict": "accept", "by": "client"})
        for mask in masks
    )
    standing.targets[key] = standing.targets[key].model_copy(update={"masks": shown, **changes})
    standing.verdicts += [
        Verdict(candidate=mask.candidate.id, verdict="accept", by="client") for mask in shown
    ]


def accept(mask_id: str, standing: Standing) -> None:
    """Let a mask stand for its target by a person's word."""
    candidate = standing.candidates[mask_id]
    key = candidate.target
    old = standing.targets.get(key) or _forgotten(candidate)
    standing.targets[key] = old
    others = [mask for mask in old.masks if mask.candidate.id != mask_id]
    stay = others if old.target.count != "one" else []
    accepted = ResultMask(
        candidate=candidate, label=old.target.label, verdict="accept", by="client"
    )
    standing.verdicts.append(Verdict(candidate=mask_id, verdict="accept", by="client"))
    standing.targets[key] = old.model_copy(
        update={"status": Status.FOUND, "masks": (*stay, accepted), "reason": "", "alone": None}
    )
    standing.touched.append(key)


def _forgotten(candidate: Candidate) -> TargetResult:
    """Return a target for a mask whose own is gone: it had shown nothing, or was removed."""
    label = candidate.concept or REGION_LABEL
    phrases = (candidate.concept,) if candidate.concept else ()
    target = Target(id=candidate.target, label=label, phrases=phrases)
    return TargetResult(target=target, status=Status.UNCERTAIN, masks=())


def reject(mask_id: str, standing: Standing) -> None:
    """Take a mask away for good, and work on its target again."""
    standing.verdicts.append(Verdict(candidate=mask_id, verdict="reject", by="client"))
    candidate = standing.candidates[mask_id]
    take_away([mask_id], standing)
    if candidate.target in standing.targets:
        target = standing.targets[candidate.target].target
        reopen(target, standing)
        standing.flaws[target.id] = Flaw(Issue.WRONG_STRUCTURE, candidate, None)


def take_away(ids: Iterable[str], standing: Standing) -> None:
    """Let masks stand no more; they may come back."""
    gone = set(ids)
    for key, result in standing.targets.items():
        left = tuple(mask for mask in result.masks if mask.candidate.id not in gone)
        if len(left) < len(result.masks):
            standing.targets[key] = result.model_copy(update={"masks": left})


def reopen(target: Target, standing: Standing, *, box: Box | None = None) -> None:
    """Work on a target again, in the person's box if there is one."""
    standing.reopened[target.id] = target
    standing.touched.append(target.id)
    if box is not None:
        standing.boxes[target.id] = box


def remove(key: str, standing: Standing) -> None:
    """Take a target away, and say so."""
    label = standing.label(key)
    standing.removed.append(label)
    standing.notes.append(f"removed {label}")
    del standing.targets[key]


def forget_empty(standing: Standing) -> None:
    """Take away targets that have lost their last mask and have nothing more to say."""
    for key in [key for key, result in standing.targets.items() if not result.masks]:
        if key not in standing.reopened and key not in standing.unfitting:
            del standing.targets[key]


def first_free_target(standing: Standing) -> int:
    """Return the number of the next new target."""
    numbers = [int(key[1:]) + 1 for key in standing.targets]
    return max([standing.next_target, *numbers])
