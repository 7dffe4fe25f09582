"""Opens a run from a thread: what stays, what is worked on again, what a person said. Pure.

A person's word - an edit, or a command in the request - goes above any model's. Accepted masks stay
unless the request names them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agent.bench import Opening
from agent.commands import Command, read_command
from agent.errors import InvalidRequest
from agent.ledger import Ids
from agent.lexicon import Lexicon, normalise
from agent.policy import Flaw
from agent.reading import Mention, Reading, read_request
from agent.selection import cut_pieces, select, to_mask
from agent.state import (
    AgentRequest,
    Candidate,
    Edit,
    Issue,
    ResultMask,
    Selection,
    Status,
    Target,
    TargetResult,
    ThreadRecord,
    Verdict,
)
from agent.targeting import swaps_sides_of
from segmenter.contract import Box
from segmenter.rle import decode

_ISSUES = {"wrong": Issue.WRONG_STRUCTURE, "tighter": Issue.TOO_LARGE, "looser": Issue.TOO_SMALL}


@dataclass
class _Desk:
    """A thread on the way to a run's opening."""

    thread: ThreadRecord
    targets: dict[str, TargetResult]
    candidates: dict[str, Candidate]
    next_mask: int
    verdicts: list[Verdict] = field(default_factory=list)
    reopened: dict[str, Target] = field(default_factory=dict)
    flaws: dict[str, Flaw] = field(default_factory=dict)
    boxes: dict[str, Box] = field(default_factory=dict)


def open_thread(request: AgentRequest, thread: ThreadRecord, lexicon: Lexicon) -> Opening:
    """Return what a run of this thread starts from.

    Raises:
        InvalidRequest: an edit names a mask that is not there, or holds no box.
    """
    desk = _Desk(
        thread=thread,
        targets={one.target.id: one for one in thread.targets},
        candidates={one.id: one for one in thread.candidates},
        next_mask=thread.next_mask,
    )
    _repeat_rejections(desk)
    for edit in request.edits:
        _apply_edit(edit, desk)
    reading = read_request(request.request, lexicon)
    command = read_command(request.request)
    is_new = _names_new(reading, desk)
    spoken = _apply_words(command, reading, desk) if thread.targets else False
    if request.box is not None and not reading.asked and desk.targets:
        _reopen(_last(desk), desk, box=request.box)
        spoken = True
    return _opening(desk, asks_planner=is_new or not (spoken or request.edits))


def _opening(desk: _Desk, *, asks_planner: bool) -> Opening:
    return Opening(
        kept=tuple(one for key, one in desk.targets.items() if key not in desk.reopened),
        reopened=tuple(desk.reopened.values()),
        incumbents={key: _ids(desk.targets[key]) for key in desk.reopened},
        flaws=desk.flaws,
        boxes=desk.boxes,
        verdicts=tuple(desk.verdicts),
        candidates=tuple(desk.candidates.values()),
        tried=desk.thread.tried,
        modality=desk.thread.modality,
        next_mask=desk.next_mask,
        next_target=desk.thread.next_target,
        asks_planner=asks_planner,
    )


def _repeat_rejections(desk: _Desk) -> None:
    """What a person rejected, or what stands by their word, is so in every later run."""
    for one in desk.thread.rejected:
        desk.verdicts.append(Verdict(candidate=one, verdict="reject", by="client"))
    for result in desk.thread.targets:
        for mask in result.masks:
            if mask.verdict is not None:
                desk.verdicts.append(
                    Verdict(candidate=mask.candidate.id, verdict=mask.verdict, by=mask.by)
                )


def _apply_edit(edit: Edit, desk: _Desk) -> None:
    if edit.action == "box":
        _box(edit, desk)
    elif edit.mask_id is None or edit.mask_id not in desk.candidates:
        raise InvalidRequest(f"mask {edit.mask_id!r} is not part of this thread", field="edits")
    elif edit.action == "accept":
        _accept(edit.mask_id, desk)
    else:
        _reject(edit.mask_id, desk, Issue.WRONG_STRUCTURE)


def _box(edit: Edit, desk: _Desk) -> None:
    if edit.box is None:
        raise InvalidRequest("an edit with a box needs the box", field="edits")
    target = _last(desk)
    if edit.label is not None:
        target = _labelled(edit.label, desk)
    if target is None:
        target = Target(
            id=f"t{desk.thread.next_target + len(desk.boxes)}",
            label=edit.label or "marked region",
            ladder=_phrases(edit.label),
            count="one",
        )
        desk.targets[target.id] = TargetResult(target=target, status=Status.UNCERTAIN, masks=())
    _reopen(target, desk, box=edit.box)


def _phrases(label: str | None) -> tuple[str, ...]:
    words = normalise(label or "")[:3]
    return (" ".join(words),) if words else ()


def _accept(mask_id: str, desk: _Desk) -> None:
    """Let a mask stand for its target by a person's word."""
    candidate = desk.candidates[mask_id]
    desk.verdicts.append(Verdict(candidate=mask_id, verdict="accept", by="client"))
    old = desk.targets[candidate.target]
    others = [one for one in old.masks if one.candidate.id != mask_id]
    stay = others if old.target.count != "one" else []
    accepted = ResultMask(
        candidate=candidate, label=old.target.label, verdict="accept", by="client"
    )
    desk.targets[candidate.target] = old.model_copy(
        update={"status": Status.FOUND, "masks": (*stay, accepted), "reason": ""}
    )


def _reject(mask_id: str, desk: _Desk, issue: Issue) -> None:
    """Take a mask away for good, and work on its target again."""
    _drop(mask_id, desk)
    candidate = desk.candidates[mask_id]
    if candidate.target in desk.targets:
        target = desk.targets[candidate.target].target
        _reopen(target, desk)
        desk.flaws[target.id] = Flaw(issue, candidate, None)


def _drop(mask_id: str, desk: _Desk) -> None:
    """Take a mask away for good; a target that loses its last one goes with it."""
    desk.verdicts.append(Verdict(candidate=mask_id, verdict="reject", by="client"))
    key = desk.candidates[mask_id].target
    if key in desk.targets:
        left = tuple(one for one in desk.targets[key].masks if one.candidate.id != mask_id)
        desk.targets[key] = desk.targets[key].model_copy(update={"masks": left})


def _reopen(target: Target | None, desk: _Desk, *, box: Box | None = None) -> None:
    if target is None:
        return
    desk.reopened[target.id] = target
    if box is not None:
        desk.boxes[target.id] = box


def _apply_words(command: Command, reading: Reading, desk: _Desk) -> bool:
    """Do what the request says of masks that are there; tell whether it said anything."""
    masks = [one for one in command.masks if one in desk.candidates]
    if masks:
        _act_on_masks(masks, command, desk)
        return True
    named = _named_targets(reading.asked, desk)
    if command.act == "remove" or reading.excluded:
        return _remove([*named, *_named_targets(reading.excluded, desk)], desk)
    selection = _selection(reading, desk)
    if selection is not None and (named or not reading.asked):
        return _narrow(named or list(desk.targets), selection, desk)
    meant = named or ([_key(desk)] if not reading.asked else [])
    return _complain(command, meant, desk)


def _act_on_masks(masks: list[str], command: Command, desk: _Desk) -> None:
    for one in masks:
        if command.act == "remove":
            _drop(one, desk)
        elif command.act in ("wrong", "tighter", "looser"):
            _find_fault(one, _ISSUES[command.act], desk)
        elif command.act == "accept":
            _accept(one, desk)
    if command.only and command.act in ("accept", None):
        _keep_only(masks, desk)
    _forget_empty(desk)


def _find_fault(mask_id: str, issue: Issue, desk: _Desk) -> None:
    """A wrong mask goes for good; one of a wrong size stands until a better one is found."""
    if issue is Issue.WRONG_STRUCTURE:
        _reject(mask_id, desk, issue)
        return
    candidate = desk.candidates[mask_id]
    target = desk.targets[candidate.target].target
    _reopen(target, desk)
    desk.flaws[target.id] = Flaw(issue, candidate, None)
    desk.verdicts.append(Verdict(candidate=mask_id, verdict="partial", issue=issue, by="client"))


def _keep_only(masks: Iterable[str], desk: _Desk) -> None:
    keys = {desk.candidates[one].target for one in masks}
    for key in keys & set(desk.targets):
        for other in _ids(desk.targets[key]):
            if other not in masks:
                _drop(other, desk)


def _remove(keys: list[str], desk: _Desk) -> bool:
    for key in keys:
        desk.targets.pop(key, None)
    return bool(keys)


def _forget_empty(desk: _Desk) -> None:
    for key in [key for key, one in desk.targets.items() if not one.masks]:
        if key not in desk.reopened:
            del desk.targets[key]


def _complain(command: Command, keys: list[str], desk: _Desk) -> bool:
    """Work again on targets that are said to be wrong, too large or too small."""
    if command.act not in _ISSUES:
        return False
    for key in keys:
        for one in _ids(desk.targets[key]):
            _find_fault(one, _ISSUES[command.act], desk)
        _reopen(desk.targets[key].target, desk)
    return bool(keys)


def _selection(reading: Reading, desk: _Desk) -> Selection | None:
    """Return which masks are wanted of what is there ("only the left one"), None for no word."""
    modifiers = reading.modifiers
    for mention in reading.asked:
        modifiers = mention.modifiers
    side = modifiers.side
    if side is None and modifiers.rank is None:
        return None
    if side is not None and modifiers.frame != "image" and swaps_sides_of(desk.thread.modality):
        side = "right" if side == "left" else "left"
    return Selection(side=side, rank=modifiers.rank, limit=modifiers.limit)


def _narrow(keys: list[str], selection: Selection, desk: _Desk) -> bool:
    """Keep only the wanted masks of targets, cutting masks of several pieces apart."""
    for key in keys:
        result = desk.targets[key]
        pieces = [piece for mask in result.masks for piece in _pieces(mask, desk)]
        chosen = select([one.candidate for one in pieces], selection, width=desk.thread.image.width)
        ids = {one.id for one in chosen}
        kept = tuple(one for one in pieces if one.candidate.id in ids)
        if not kept:
            continue
        target = result.target.model_copy(update={"selection": selection})
        desk.targets[key] = result.model_copy(update={"target": target, "masks": kept})
        desk.verdicts += [
            Verdict(candidate=one, verdict="accept", by="client") for one in sorted(ids)
        ]
    return True


def _pieces(mask: ResultMask, desk: _Desk) -> list[ResultMask]:
    pieces = cut_pieces(mask.candidate, decode(mask.candidate.mask.rle))
    if not pieces:
        return [mask]
    parts: list[ResultMask] = []
    for piece in pieces:
        part = mask.candidate.model_copy(
            update={
                "id": f"m{desk.next_mask}",
                "mask": to_mask(mask.candidate.mask, piece.mask),
                "derived_from": mask.candidate.id,
            }
        )
        desk.next_mask += 1
        desk.candidates[part.id] = part
        parts.append(mask.model_copy(update={"candidate": part, "area_mm2": None}))
    return parts


def _named_targets(mentions: Iterable[Mention], desk: _Desk) -> list[str]:
    """Return the targets of the thread that a request names."""
    labels: Mapping[str, tuple[str, ...]] = {
        key: normalise(one.target.label) for key, one in desk.targets.items()
    }
    return [
        key
        for mention in mentions
        for key, label in labels.items()
        if label == mention.words or label in {normalise(term.label) for term in mention.terms}
    ]


def _names_new(reading: Reading, desk: _Desk) -> bool:
    """Tell whether the request asks for something the thread does not hold."""
    return any(not _named_targets([mention], desk) for mention in reading.asked)


def _labelled(label: str, desk: _Desk) -> Target | None:
    words = normalise(label)
    targets = [one.target for one in desk.targets.values()]
    return next((one for one in targets if normalise(one.label) == words), None)


def _key(desk: _Desk) -> str:
    return next(reversed(desk.targets))


def _last(desk: _Desk) -> Target | None:
    return desk.targets[_key(desk)].target if desk.targets else None


def _ids(result: TargetResult) -> Ids:
    return tuple(mask.candidate.id for mask in result.masks)
