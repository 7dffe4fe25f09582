"""What the operations of a request do with the masks that stand, and what they say of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from agent.conversation.choosing import (
    all_ids,
    as_displayed,
    choose,
    is_removed,
    limits,
    narrow,
    nothing_there,
    selection_of,
    standing_ids,
    where,
)
from agent.conversation.outlines import edit_masks
from agent.conversation.standing import (
    Standing,
    accept,
    forget_empty,
    it,
    meant_targets,
    named_targets,
    pieces_of,
    reject,
    remove,
    reopen,
    show,
    take_away,
)
from agent.masks.selection import select, why_none
from agent.policy.ledger import is_rejected_by_client
from agent.schemas.intent import ANY, EDITS, Act, Operation, Thing, Which
from agent.schemas.plan import EVERY
from agent.schemas.rounds import Candidate, Verdict
from agent.schemas.runs import ResultMask

# A candidate that lies on what stands by more than this share of itself adds nothing.
_NEW_SHARE = 0.2
# More masks are not named one by one.
MAX_NAMED = 10


def carry_out(operation: Operation, standing: Standing) -> None:
    """Carry out one operation on what stands; says what was done, or why not.

    Undo, redo and boxes belong to the thread (`agent.conversation.follow_up`).
    """
    act = _ACTS.get(operation.act)
    if act is not None:
        if operation.masks and operation.act != "add":
            masks = as_displayed(operation.masks, standing)
            if operation.act == "wrong":
                # What was cut or cleaned of a wrong mask is wrong, and so is the mask itself.
                _say_wrong([name for name in operation.masks if name not in masks], standing)
            operation = operation.model_copy(update={"masks": masks})
        act(operation, standing)
        forget_empty(standing)


def _clear(_: Operation, standing: Standing) -> None:
    labels = ", ".join(result.target.label for result in standing.targets.values())
    standing.targets.clear()
    note = f'removed everything ({labels}); "undo" brings it back'
    standing.notes.append(note if labels else "nothing to remove: nothing is outlined")


def _swap(operation: Operation, standing: Standing) -> None:
    named = named_targets((*operation.things, *operation.minus), standing)
    keys = list(dict.fromkeys(named)) or list(standing.targets)
    if len(keys) != 2:
        standing.notes.append("nothing was swapped: name the two labels that are to be exchanged")
        return
    first, second = (standing.targets[key].target for key in keys)
    for key, own, other in ((keys[0], first, second), (keys[1], second, first)):
        # The masks stay where they are: all but the id is what the other one is.
        target = other.model_copy(update={"id": own.id})
        standing.targets[key] = standing.targets[key].model_copy(update={"target": target})
        show(key, standing.targets[key].masks, standing)
        standing.touched.append(key)
    standing.notes.append(f"swapped the labels of {first.label} and {second.label}")


def _exclude(operation: Operation, standing: Standing) -> None:
    for thing in operation.things:
        for key in named_targets([thing], standing):
            del standing.targets[key]
        standing.notes.append(f"{thing.words} was left out")


def _keep(operation: Operation, standing: Standing) -> None:
    """Leave the named masks or things alone, or of "it" those that a qualifier fits."""
    if operation.masks:
        for mask_id in operation.masks:
            accept(mask_id, standing)
        gone = [name for name in all_ids(standing) if name not in operation.masks]
        kept = [f"mask {name} ({_label_of(name, standing)})" for name in operation.masks]
        standing.notes.append("kept " + ", ".join(kept))
        _say_removed(gone, standing)
        take_away(gone, standing)
    elif operation.things:
        _keep_things(operation, standing)
    elif keys := it(standing) or list(standing.targets):
        narrow(keys, operation.which, standing)
    else:
        standing.notes.append(nothing_there(operation, standing))


def _keep_things(operation: Operation, standing: Standing) -> None:
    """Leave things alone; where one does not stand it is looked for (`follow_up`).

    "Only the left lung" chooses among lungs, and leaves other things as they are.
    """
    wanted = set(named_targets(operation.things, standing))
    which = {
        thing: operation.which if thing.which == ANY else thing.which for thing in operation.things
    }
    if not wanted or not all(map(limits, which.values())):
        for key in [key for key in standing.targets if key not in wanted]:
            remove(key, standing)
    for thing in operation.things:
        keys = named_targets([thing], standing)
        standing.touched += keys
        narrow(keys, which[thing], standing)


def _drop(operation: Operation, standing: Standing) -> None:
    if operation.masks:
        gone = standing_ids(operation.masks, standing)
        _say_removed(gone, standing)
        take_away(gone, standing)
        return
    if not operation.things:
        _drop_fitting(it(standing), operation.which, operation, standing)
    for thing in operation.things:
        keys = named_targets([thing], standing)
        which = operation.which if thing.which == ANY else thing.which
        _drop_fitting(keys, which, Operation(act="drop", things=(thing,)), standing)


def _drop_fitting(
    keys: Sequence[str], which: Which, operation: Operation, standing: Standing
) -> None:
    """Remove these targets, or of each what a qualifier fits."""
    if not keys and not is_removed(operation, standing):
        standing.notes.append(nothing_there(operation, standing))
    for key in keys:
        label = standing.label(key)
        if not limits(which):
            remove(key, standing)
            continue
        selection = selection_of(which, key, standing)
        pieces = pieces_of(key, standing)
        candidates = [piece.candidate for piece in pieces]
        gone = {one.id for one in select(candidates, selection, standing.size)}
        standing.touched.append(key)
        if not gone:
            why = why_none(candidates, selection, standing.size, standing.targets[key].target)
            standing.notes.append(f"nothing to remove: {why}")
            continue
        left = [piece for piece in pieces if piece.candidate.id not in gone]
        many = f"{len(gone)} of {len(pieces)} masks"
        standing.notes.append(f"removed {many} of {label}{where(selection, key, standing)}")
        show(key, left, standing)


def _say_removed(ids: Iterable[str], standing: Standing) -> None:
    gone = [f"mask {name} ({_label_of(name, standing)})" for name in ids]
    if gone:
        standing.notes.append("removed " + ", ".join(gone))


def _label_of(mask_id: str, standing: Standing) -> str:
    result = standing.targets.get(standing.candidates[mask_id].target)
    return result.target.label if result else standing.candidates[mask_id].concept or "?"


def _judge(operation: Operation, standing: Standing) -> None:
    ids = list(operation.masks)
    if not ids:
        keys = [key for key in meant_targets(operation, standing) if standing.targets[key].masks]
        ids = [name for chosen in choose(keys, operation, standing).values() for name in chosen]
        if not keys:
            standing.notes.append(nothing_there(operation, standing))
    named = [f"mask {name} ({_label_of(name, standing)})" for name in ids[:MAX_NAMED]]
    rest = f" and {len(ids) - MAX_NAMED} more" if len(ids) > MAX_NAMED else ""
    for mask_id in ids:
        (accept if operation.act == "accept" else reject)(mask_id, standing)
    if named and operation.act == "accept":
        standing.notes.append(f"accepted {', '.join(named)}{rest}")
    elif named:
        standing.notes.append(f"rejected {', '.join(named)}{rest} for good")


def _say_wrong(ids: Iterable[str], standing: Standing) -> None:
    standing.verdicts += [Verdict(candidate=name, verdict="reject", by="client") for name in ids]


def _retry(operation: Operation, standing: Standing) -> None:
    keys = meant_targets(operation, standing)
    targets = [standing.targets[key].target for key in keys]
    if not targets and not operation.things:
        # What was looked for last and not found stands nowhere.
        targets = list(standing.spoken)
    if not targets and not operation.things:
        standing.notes.append(nothing_there(operation, standing))
    for target in targets:
        reopen(target, standing)
        standing.retried.add(target.id)
        standing.notes.append(f"looked again for {target.label}, with a lower threshold")


def _add(operation: Operation, standing: Standing) -> None:
    """Bring masks back that were there; what never was is looked for (`follow_up`)."""
    for mask_id in operation.masks:
        accept(mask_id, standing)
        standing.notes.append(f"added mask {mask_id} ({_label_of(mask_id, standing)})")
    for thing in operation.things:
        for key in named_targets([thing], standing):
            back = _come_back(key, thing, standing)
            label = standing.label(key)
            standing.touched.append(key)
            if not back:
                standing.notes.append(f"nothing to add: no other mask of {label} was found")
                continue
            target = standing.targets[key].target.model_copy(update={"selection": EVERY})
            shown = [*standing.targets[key].masks, *back]
            show(key, shown, standing, target=target)
            side = where(selection_of(thing.which, key, standing), key, standing)
            standing.notes.append(
                f"added {len(back)} mask{'s' if len(back) > 1 else ''} of {label} again{side}"
            )


def _come_back(key: str, thing: Thing, standing: Standing) -> list[ResultMask]:
    """Return masks of a target that fit and lie beside what stands, the best first."""
    selection = selection_of(thing.which, key, standing)
    verdicts = {verdict.candidate: verdict for verdict in standing.verdicts}
    own = [
        one
        for one in standing.candidates.values()
        if one.target == key and not is_rejected_by_client(one.id, verdicts)
    ]
    masks = standing.targets[key].masks
    covered = [standing.mask(mask.candidate.id) for mask in masks]
    back: list[ResultMask] = []
    for one in sorted(select(own, selection, standing.size), key=_best_first):
        pixels = standing.mask(one.id)
        if any((pixels & other).sum() > _NEW_SHARE * pixels.sum() for other in covered):
            continue
        covered.append(pixels)
        back.append(ResultMask(candidate=one, label=standing.label(key), verdict=None))
    return back


def _best_first(candidate: Candidate) -> tuple[float, int]:
    return (-candidate.mask.joint, -int(candidate.id[1:]))


_ACTS: Mapping[Act, Callable[[Operation, Standing], None]] = {
    "accept": _judge,
    "add": _add,
    "clear": _clear,
    "drop": _drop,
    "exclude": _exclude,
    "keep": _keep,
    "retry": _retry,
    "subtract": edit_masks,
    "swap": _swap,
    "wrong": _judge,
    **dict.fromkeys(EDITS, edit_masks),
}
