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
from agent.language.commands import Command, is_undo
from agent.language.lexicon import Lexicon, load_lexicon, normalise, to_concept
from agent.language.modality import known_modality, modality_of_name, modality_of_tag
from agent.language.request import Mention, Reading, read_request
from agent.planners.targets import MAX_LABEL_CHARS, REGION_LABEL, later_frame, to_selection
from agent.schemas.plan import Selection, Target
from agent.schemas.rounds import Issue, Status
from agent.schemas.runs import AgentRequest, Edit, TargetResult, ThreadRecord
from segmenter.contract import Box

_ISSUES = {"wrong": Issue.WRONG_STRUCTURE, "tighter": Issue.TOO_LARGE, "looser": Issue.TOO_SMALL}


def open_thread(request: AgentRequest, thread: ThreadRecord, lexicon: Lexicon) -> Opening:
    """Return what a run of this thread starts from; the request is checked already."""
    opened = OpenThread(
        thread=thread,
        targets={result.target.id: result for result in thread.targets},
        candidates={candidate.id: candidate for candidate in thread.candidates},
        next_mask=thread.next_mask,
    )
    reading = read_request(request.request, lexicon)
    repeat_verdicts(opened)
    if thread.runs and is_undo(request.request):
        # The thread is as it was before already.
        return _opening(opened, reading, thread.modality, asks_planner=False)
    for edit in request.edits:
        _apply_edit(edit, opened)
    is_new = _names_new(reading, opened)
    modality = known_now(thread, reading.modality, lexicon)
    spoken = _apply_words(reading, opened, modality) if thread.targets else False
    if request.box is not None and not reading.asked and opened.targets:
        reopen(last_target(opened), opened, box=request.box)
        spoken = True
    asks_planner = is_new or not (spoken or request.edits)
    return _opening(opened, reading, modality, asks_planner=asks_planner)


def _opening(opened: OpenThread, reading: Reading, modality: str, *, asks_planner: bool) -> Opening:
    return Opening(
        reading=reading,
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


def _apply_words(reading: Reading, opened: OpenThread, modality: str) -> bool:
    """Do what the request says of masks that are there; tell whether it said anything."""
    command = reading.command
    masks = [mask_id for mask_id in command.masks if mask_id in opened.candidates]
    if masks:
        _act_on_masks(masks, command, opened)
        return True
    named = _named_targets(reading.asked, opened)
    if command.act == "remove" or reading.excluded:
        return _remove([*named, *_named_targets(reading.excluded, opened)], opened)
    selections = _selections(reading, opened, modality)
    if selections:
        narrow(selections, opened)
        return True
    meant = named or ([last_key(opened)] if not reading.asked else [])
    return _complain(command, meant, opened)


def _act_on_masks(masks: list[str], command: Command, opened: OpenThread) -> None:
    for mask_id in masks:
        if command.act == "remove":
            drop(mask_id, opened)
        elif command.act in ("wrong", "tighter", "looser"):
            find_fault(mask_id, _ISSUES[command.act], opened)
        elif command.act == "accept":
            accept(mask_id, opened)
    if command.only and command.act in ("accept", None):
        keep_only(masks, opened)
    forget_empty(opened)


def _remove(keys: list[str], opened: OpenThread) -> bool:
    for key in keys:
        opened.targets.pop(key, None)
    return bool(keys)


def _complain(command: Command, keys: list[str], opened: OpenThread) -> bool:
    """Work again on targets that are said to be wrong, too large or too small."""
    if command.act not in _ISSUES:
        return False
    for key in keys:
        for mask_id in mask_ids(opened.targets[key]):
            find_fault(mask_id, _ISSUES[command.act], opened)
        reopen(opened.targets[key].target, opened)
    return bool(keys)


def _selections(reading: Reading, opened: OpenThread, modality: str) -> dict[str, Selection]:
    """Return which masks are wanted of which targets ("only the left one"); {} for no word."""
    wanted = [
        (key, mention.modifiers)
        for mention in reading.asked
        for key in _named_targets([mention], opened)
    ]
    if not reading.asked:
        wanted = [(key, reading.modifiers) for key in opened.targets]
    lexicon = load_lexicon()
    selections: dict[str, Selection] = {}
    for key, modifiers in wanted:
        if modifiers.side is None and modifiers.rank is None:
            continue
        frame = later_frame(opened.targets[key].target, modality, lexicon)
        selections[key] = to_selection(modifiers, frame)
    return selections


def known_now(thread: ThreadRecord, words: str, lexicon: Lexicon) -> str:
    """Return the modality as known now: by the image's tag, the request's words, the thread."""
    return known_modality(
        modality_of_tag(thread.image.modality, lexicon),
        words,
        modality_of_name(thread.modality, lexicon),
    )


def _named_targets(mentions: Iterable[Mention], opened: OpenThread) -> list[str]:
    """Return the targets of the thread that a request names."""
    labels: Mapping[str, tuple[str, ...]] = {
        key: normalise(result.target.label) for key, result in opened.targets.items()
    }
    return [
        key
        for mention in mentions
        for key, label in labels.items()
        if label == mention.words or label in {normalise(term.label) for term in mention.terms}
    ]


def _names_new(reading: Reading, opened: OpenThread) -> bool:
    """Tell whether the request asks for something the thread does not hold."""
    return any(not _named_targets([mention], opened) for mention in reading.asked)


def _labelled(label: str, opened: OpenThread) -> Target | None:
    words = normalise(label)
    targets = [result.target for result in opened.targets.values()]
    return next((target for target in targets if normalise(target.label) == words), None)
