"""Opens a run from a thread: what stays, what is worked on again, what a person said. Pure.

A person's word - an edit, or a command in the request - goes above any model's. Accepted masks stay
unless the request names them.
"""

from collections.abc import Iterable, Mapping

from agent.conversation.edits import (
    OpenThread,
    accept,
    drop,
    find_fault,
    forget_empty,
    keep_only,
    last_key,
    last_target,
    mask_ids,
    narrow,
    next_target,
    reject,
    reopen,
    repeat_verdicts,
)
from agent.conversation.opening import Opening
from agent.language.lexicon import Lexicon, load_lexicon, normalise, to_concept
from agent.language.modality import known_modality, modality_of_name, modality_of_tag
from agent.language.request import read_request
from agent.planners.targets import MAX_LABEL_CHARS, REGION_LABEL, later_frame, to_selection
from agent.schemas.intent import Act, Intent, Operation, Thing, Which
from agent.schemas.plan import Selection, Target
from agent.schemas.rounds import Issue, Status
from agent.schemas.runs import AgentRequest, Edit, TargetResult, ThreadRecord
from segmenter.contract import Box

_ISSUES: Mapping[Act, Issue] = {
    "wrong": Issue.WRONG_STRUCTURE,
    "tighter": Issue.TOO_LARGE,
    "bigger": Issue.TOO_SMALL,
}


def open_thread(
    request: AgentRequest, thread: ThreadRecord, lexicon: Lexicon, intent: Intent | None = None
) -> Opening:
    """Return what a run of this thread starts from; the request is checked already.

    Args:
        request: as it came.
        thread: as it is before the run.
        lexicon: of the words.
        intent: what a model made of the request; None reads it by the rules.
    """
    opened = OpenThread(
        thread=thread,
        targets={result.target.id: result for result in thread.targets},
        candidates={candidate.id: candidate for candidate in thread.candidates},
        next_mask=thread.next_mask,
    )
    held = tuple(result.target.label for result in thread.targets)
    intent = intent or read_request(request.request, lexicon, held)
    repeat_verdicts(opened)
    if thread.runs and intent.acts("undo"):
        # The thread is as it was before already.
        return _opening(opened, intent, thread.modality, asks_planner=False)
    for edit in request.edits:
        _apply_edit(edit, opened)
    modality = known_now(thread, intent.modality, lexicon)
    intent = _with_kept(intent, opened)
    is_new = any(not _named_targets([thing], opened) for thing in intent.find)
    spoken = _apply_words(intent, opened, modality) if thread.targets else False
    if request.box is not None and not intent.find and opened.targets:
        reopen(last_target(opened), opened, box=request.box)
        spoken = True
    asks_planner = is_new or not (spoken or request.edits)
    return _opening(opened, intent, modality, asks_planner=asks_planner)


def _with_kept(intent: Intent, opened: OpenThread) -> Intent:
    """Return the intent that also finds what is to be kept alone and is not there."""
    kept = [thing for done in intent.acts("keep") for thing in done.things]
    absent = tuple(
        thing for thing in kept if not _named_targets([thing], opened) and thing not in intent.find
    )
    return intent.model_copy(update={"find": (*intent.find, *absent)})


def _opening(opened: OpenThread, intent: Intent, modality: str, *, asks_planner: bool) -> Opening:
    return Opening(
        intent=intent,
        kept=tuple(result for key, result in opened.targets.items() if key not in opened.reopened),
        reopened=tuple(opened.reopened.values()),
        incumbents={key: mask_ids(opened.targets[key]) for key in opened.reopened},
        flaws=opened.flaws,
        boxes=opened.boxes,
        verdicts=tuple(opened.verdicts),
        candidates=tuple(opened.candidates.values()),
        tried=opened.thread.tried,
        modality=modality,
        next_mask=opened.next_mask,
        next_target=next_target(opened),
        asks_planner=asks_planner,
    )


def _apply_edit(edit: Edit, opened: OpenThread) -> None:
    if edit.box is not None and edit.action == "box":
        _box(edit.box, edit.label, opened)
    elif edit.mask_id is not None and edit.action == "accept":
        accept(edit.mask_id, opened)
    elif edit.mask_id is not None:
        reject(edit.mask_id, opened, Issue.WRONG_STRUCTURE)


def _box(box: Box, label: str | None, opened: OpenThread) -> None:
    target = last_target(opened) if label is None else _labelled(label, opened)
    if target is None:
        target = Target(
            id=f"t{next_target(opened)}",
            label=(label or REGION_LABEL)[:MAX_LABEL_CHARS],
            phrases=_phrases(label),
            count="one",
        )
        opened.targets[target.id] = TargetResult(target=target, status=Status.UNCERTAIN, masks=())
    reopen(target, opened, box=box)


def _phrases(label: str | None) -> tuple[str, ...]:
    concept = to_concept(label or "")
    return (concept,) if concept else ()


def _apply_words(intent: Intent, opened: OpenThread, modality: str) -> bool:
    """Do what the request says of masks that are there; tell whether it said anything."""
    done = [_carry_out(operation, opened, modality) for operation in intent.operations]
    narrowed = [
        (key, thing.which) for thing in intent.find for key in _named_targets([thing], opened)
    ]
    return any([*done, _narrow(narrowed, opened, modality)])


def _carry_out(operation: Operation, opened: OpenThread, modality: str) -> bool:
    masks = [mask_id for mask_id in operation.masks if mask_id in opened.candidates]
    if masks:
        _act_on_masks(masks, operation, opened)
        return True
    named = _named_targets(operation.things, opened)
    if operation.act in ("drop", "exclude"):
        return _remove(named, opened)
    if operation.act == "keep":
        wanted = [
            (key, thing.which)
            for thing in operation.things
            for key in _named_targets([thing], opened)
        ]
        if not operation.things:
            wanted = [(key, operation.which) for key in opened.targets]
        return _narrow(wanted, opened, modality)
    meant = named or ([last_key(opened)] if not operation.things else [])
    return _complain(operation, meant, opened)


def _act_on_masks(masks: list[str], operation: Operation, opened: OpenThread) -> None:
    for mask_id in masks:
        if operation.act == "drop":
            drop(mask_id, opened)
        elif operation.act in _ISSUES:
            find_fault(mask_id, _ISSUES[operation.act], opened)
        elif operation.act in ("accept", "keep"):
            accept(mask_id, opened)
    if operation.act == "keep":
        keep_only(masks, opened)
    forget_empty(opened)


def _remove(keys: list[str], opened: OpenThread) -> bool:
    for key in keys:
        opened.targets.pop(key, None)
    return bool(keys)


def _complain(operation: Operation, keys: list[str], opened: OpenThread) -> bool:
    """Work again on targets that are said to be wrong, too large or too small."""
    if operation.act not in _ISSUES:
        return False
    for key in keys:
        for mask_id in mask_ids(opened.targets[key]):
            find_fault(mask_id, _ISSUES[operation.act], opened)
        reopen(opened.targets[key].target, opened)
    return bool(keys)


def _narrow(wanted: Iterable[tuple[str, Which]], opened: OpenThread, modality: str) -> bool:
    """Keep only some masks of targets ("only the left one"); tell whether that was asked for."""
    lexicon = load_lexicon()
    selections: dict[str, Selection] = {}
    for key, which in wanted:
        if which.side is None and which.rank is None:
            continue
        frame = later_frame(opened.targets[key].target, modality, lexicon)
        selections[key] = to_selection(which, frame)
    narrow(selections, opened)
    return bool(selections)


def known_now(thread: ThreadRecord, words: str, lexicon: Lexicon) -> str:
    """Return the modality as known now: by the image's tag, the request's words, the thread."""
    return known_modality(
        modality_of_tag(thread.image.modality, lexicon),
        words,
        modality_of_name(thread.modality, lexicon),
    )


def _named_targets(things: Iterable[Thing], opened: OpenThread) -> list[str]:
    """Return the targets of the thread that a request names."""
    labels: Mapping[str, str] = {
        key: " ".join(normalise(result.target.label)) for key, result in opened.targets.items()
    }
    return [
        key
        for thing in things
        for key, label in labels.items()
        if label == thing.words or label in {" ".join(normalise(term)) for term in thing.terms}
    ]


def _labelled(label: str, opened: OpenThread) -> Target | None:
    words = normalise(label)
    targets = [result.target for result in opened.targets.values()]
    return next((target for target in targets if normalise(target.label) == words), None)
