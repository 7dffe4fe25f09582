"""Which of the masks that stand an operation means: by id, side, place, rank or border."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from agent.conversation.standing import Standing, mask_ids, named_targets, pieces_of, remove, show
from agent.language.lexicon import load_lexicon, normalise
from agent.masks.selection import fits, name_side, select, why_none
from agent.planners.sides import later_frame, to_selection
from agent.schemas.intent import ANY, Act, Intent, Operation, Question, Which
from agent.schemas.plan import EVERY, Selection
from agent.schemas.rounds import Status
from agent.schemas.runs import ResultMask

Asked = TypeVar("Asked", Operation, Question)

_VERBS: dict[Act, str] = {
    "accept": "accept",
    "wrong": "reject",
    "drop": "remove",
    "merge": "merge",
    "split": "split",
    "subtract": "subtract from",
    "retry": "look for again",
    "keep": "keep",
}


def limits(which: Which) -> bool:
    """Tell whether a qualifier leaves masks out."""
    return to_selection(which, None) != EVERY


def selection_of(which: Which, key: str, standing: Standing) -> Selection:
    """Return which masks of a target are meant, left and right as the image's."""
    frame = later_frame(standing.targets[key].target, standing.modality, load_lexicon())
    return to_selection(which, frame)


def where(selection: Selection, key: str, standing: Standing) -> str:
    """Say which side was taken of a target, and whose it is; "" for none."""
    if not selection.side:
        return ""
    frame = later_frame(standing.targets[key].target, standing.modality, load_lexicon())
    return f", on {name_side(selection.side, frame)}"


def choose(
    keys: Sequence[str], operation: Operation, standing: Standing
) -> dict[str, dict[str, ResultMask]]:
    """Return by target, then by id, the masks an operation is about, cut apart where it must be."""
    chosen: dict[str, dict[str, ResultMask]] = {}
    for key in keys:
        which = _which_of(key, operation, standing)
        masks = list(standing.targets[key].masks)
        if limits(which):
            selection = selection_of(which, key, standing)
            pieces = pieces_of(key, standing)
            wanted = select([one.candidate for one in pieces], selection, standing.size)
            if wanted:
                show(key, pieces, standing)
            else:
                target = standing.targets[key].target
                why = why_none([one.candidate for one in pieces], selection, standing.size, target)
                standing.notes.append(f"nothing to {_VERBS.get(operation.act, 'change')}: {why}")
            ids = {one.id for one in wanted}
            masks = [one for one in standing.targets[key].masks if one.candidate.id in ids]
        chosen[key] = {mask.candidate.id: mask for mask in masks}
    return chosen


def _which_of(key: str, operation: Operation, standing: Standing) -> Which:
    for thing in operation.things:
        if key in named_targets([thing], standing) and thing.which != ANY:
            return thing.which
    return operation.which


def narrow(keys: Sequence[str], which: Which, standing: Standing) -> None:
    """Keep only the wanted masks of these targets together, cut apart where they hang together.

    Of a side, place or border where nothing is, nothing is shown: another mask would be wrong. A
    rank that is not there ("second largest" of one) leaves what stands, as uncertain.
    """
    keys = [key for key in keys if standing.targets[key].masks]
    standing.touched += keys
    if not keys or not limits(which):
        return
    selection = selection_of(which, keys[0], standing)
    pools = {key: pieces_of(key, standing) for key in keys}
    candidates = [piece.candidate for pieces in pools.values() for piece in pieces]
    chosen = {one.id for one in select(candidates, selection, standing.size)}
    label = " and ".join(standing.label(key) for key in keys)
    named = standing.targets[keys[0]].target.model_copy(update={"label": label})
    why = "" if chosen else why_none(candidates, selection, standing.size, named)
    side = where(selection, keys[0], standing)
    has_rank_only = any(fits(one.mask.box, selection, standing.size) for one in candidates)
    for key, pieces in pools.items():
        target = standing.targets[key].target.model_copy(update={"selection": selection})
        kept = [piece for piece in pieces if piece.candidate.id in chosen]
        if kept:
            show(key, kept, standing, target=target)
        elif why:
            stay = standing.targets[key].masks if has_rank_only else ()
            changes: dict[str, object] = {"status": Status.UNCERTAIN, "masks": stay, "reason": why}
            if not has_rank_only:
                changes["target"] = target
                standing.unfitting.add(key)
            standing.targets[key] = standing.targets[key].model_copy(update=changes)
        else:
            remove(key, standing)
    if chosen:
        many = f"{len(chosen)} of {len(candidates)} masks"
        standing.notes.append(f"kept {many} of {label}{side}")


def is_removed(operation: Operation, standing: Standing) -> bool:
    """Tell whether all the things of an operation went before, by the same request."""
    gone = [set(normalise(label)) for label in standing.removed]
    return bool(operation.things) and all(
        any(set(normalise(name)) in gone for name in (thing.words, *thing.terms))
        for thing in operation.things
    )


def standing_ids(ids: Iterable[str], standing: Standing) -> list[str]:
    """Return those of some masks that stand, and say of the others that they do not."""
    shown = set(all_ids(standing))
    wanted = list(ids)
    for name in wanted:
        if name not in shown:
            standing.notes.append(f"mask {name} is not shown")
    return [name for name in wanted if name in shown]


def as_displayed(ids: Iterable[str], standing: Standing) -> tuple[str, ...]:
    """Return masks by the ids they are shown under.

    A person who names a mask means what the picture shows: of one that is not shown any more, the
    masks that were made of it (cleaned, edited, cut). One that nothing stands for stays as named.
    """
    shown, meant = all_ids(standing), []
    for name in ids:
        made = [] if name in shown else [one for one in shown if name in _sources(one, standing)]
        if made:
            standing.notes.append(f"mask {name} is shown as {_first_to_last(made)}")
        meant += made or [name]
    return tuple(dict.fromkeys(meant))


def _sources(mask_id: str, standing: Standing) -> set[str]:
    sources: set[str] = set()
    known = standing.candidates.get(mask_id)
    while known is not None and known.derived_from is not None:
        sources.add(known.derived_from)
        known = standing.candidates.get(known.derived_from)
    return sources


def _first_to_last(ids: Sequence[str]) -> str:
    return ids[0] if len(ids) == 1 else f"{len(ids)} masks, {ids[0]} to {ids[-1]}"


def all_ids(standing: Standing) -> list[str]:
    """Return the ids of all masks that stand."""
    return [name for result in standing.targets.values() for name in mask_ids(result)]


def with_last_by_id(intent: Intent, standing: Standing) -> Intent:
    """Return the intent with "the last one" as the id of the mask that it is, as ids are shown."""
    return intent.model_copy(
        update={
            "operations": tuple(_last_by_id(one, standing) for one in intent.operations),
            "questions": tuple(_last_by_id(one, standing) for one in intent.questions),
        }
    )


def _last_by_id(asked: Asked, standing: Standing) -> Asked:
    which = next((one.which for one in asked.things if one.which.from_end), asked.which)
    if asked.masks or not which.from_end or which.rank is not None:
        return asked
    keys = named_targets(asked.things, standing) or list(standing.targets)
    shown = [mask_id for key in keys for mask_id in mask_ids(standing.targets[key])]
    shown.sort(key=lambda mask_id: int(mask_id[1:]))
    end = len(shown) - which.nth + 1
    meant = shown[max(0, end - (which.limit or 1)) : max(0, end)]
    if not meant:
        return asked
    return asked.model_copy(update={"masks": tuple(meant), "things": (), "which": ANY})


def nothing_there(operation: Operation, standing: Standing) -> str:
    """Say why an operation found nothing to work on."""
    verb = _VERBS.get(operation.act, "change")
    if operation.things:
        names = " or ".join(thing.words for thing in operation.things)
        return f"nothing to {verb}: no {names} is outlined"
    labels = ", ".join(result.target.label for result in standing.targets.values())
    if labels:
        return f"nothing to {verb}: say which is meant of {labels}"
    return f"nothing to {verb}: nothing is outlined"
