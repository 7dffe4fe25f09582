"""Opens a run from a thread: what stays, what is worked on again, what is looked for. Pure.

A person's word - an edit, or an operation in the request - goes above any model's. Accepted masks
stay unless the request names them. What operations want of masks that stand is done here; what they
want of masks that the run is yet to find is done at its end (`agent.conversation.closing`).
"""

from collections.abc import Iterable

from agent.conversation.choosing import limits, narrow, with_last_by_id
from agent.conversation.history import beside_history
from agent.conversation.opening import Opening
from agent.conversation.operations import carry_out
from agent.conversation.standing import (
    Standing,
    accept,
    first_free_target,
    forget_empty,
    it,
    mask_ids,
    meant_targets,
    named_targets,
    reject,
    reopen,
)
from agent.language.lexicon import Lexicon, normalise, to_concept
from agent.language.modality import known_modality, modality_of_name, modality_of_tag
from agent.language.request import read_request
from agent.planners.targets import MAX_LABEL_CHARS, REGION_LABEL
from agent.policy.calls import MIN_BOX_PX
from agent.schemas.intent import Intent, Operation, Thing
from agent.schemas.plan import Target
from agent.schemas.rounds import Status, Verdict
from agent.schemas.runs import AgentRequest, Edit, TargetResult, ThreadRecord
from segmenter.contract import Box, ImageRef
from segmenter.masks.geometry import clip_box


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
    held = tuple(result.target.label for result in thread.targets)
    intent = intent or read_request(request.request, lexicon, held)
    standing = Standing(
        image=thread.image,
        targets={result.target.id: result for result in thread.targets},
        candidates={candidate.id: candidate for candidate in thread.candidates},
        next_mask=thread.next_mask,
        modality=known_now(thread, intent.modality, lexicon),
        next_target=thread.next_target,
        spoken=thread.spoken,
        verdicts=list(_verdicts_before(thread)),
    )
    intent = with_last_by_id(intent, standing)
    _take_back(intent, thread, standing)
    whole, intent = intent, beside_history(intent)
    for edit in request.edits:
        _apply_edit(edit, standing)
    absent, hidden = _absent(intent, standing)
    looked_for = _unique((*intent.find, *absent, *hidden))
    stood = [thing for thing in looked_for if named_targets([thing], standing)]
    deferred = _apply_operations(intent, looked_for, standing)
    box = _box_for_new(request, intent, looked_for, standing)
    # "Outline the polyp and remove it", where it stands, leaves nothing to look for.
    gone = stood if any(not (one.things or one.masks) for one in intent.acts("drop")) else []
    is_new = any(not named_targets([thing], standing) for thing in looked_for if thing not in gone)
    acted = standing.touched or (standing.notes and thread.runs)
    spoken = bool(request.edits or acted or intent.questions)
    return _opening(
        standing,
        whole,
        thread,
        looked_for=looked_for,
        hidden=hidden,
        deferred=deferred,
        box=box,
        asks_planner=is_new or (box is not None) or not (spoken or intent.talk),
    )


def _verdicts_before(thread: ThreadRecord) -> Iterable[Verdict]:
    """What a person rejected, or what stands by their word, is so in every later run."""
    for mask_id in thread.rejected:
        yield Verdict(candidate=mask_id, verdict="reject", by="client")
    for result in thread.targets:
        for mask in result.masks:
            if mask.verdict is not None:
                yield Verdict(candidate=mask.candidate.id, verdict=mask.verdict, by=mask.by)


def _take_back(intent: Intent, thread: ThreadRecord, standing: Standing) -> None:
    """Say what became of an undo or a redo: the thread is as it was before already."""
    for operation in intent.acts("undo", "redo"):
        labels = ", ".join(result.target.label for result in thread.targets)
        there = f"shown now: {labels}" if labels else "nothing is shown now"
        done = "took the last change back" if operation.act == "undo" else "did it again"
        standing.notes.append(
            f"{done}; {there}" if thread.runs else f"nothing to {operation.act}: nothing was done"
        )


def _absent(intent: Intent, standing: Standing) -> tuple[tuple[Thing, ...], tuple[Thing, ...]]:
    """Return what operations and questions need and is not there: to be shown, and to be hidden."""
    changing = [
        thing
        for operation in intent.operations
        if operation.act not in ("drop", "exclude", "wrong", "accept", "swap", "merge")
        for thing in operation.things
    ]
    asked = [thing for question in intent.questions for thing in question.things]
    minus = [thing for done in intent.acts("subtract") for thing in done.minus]
    absent = [thing for thing in (*changing, *asked) if not named_targets([thing], standing)]
    shown = {thing.words for thing in (*intent.find, *absent)}
    hidden = [
        thing
        for thing in minus
        if not named_targets([thing], standing) and thing.words not in shown
    ]
    return tuple(absent), tuple(hidden)


def _unique(things: Iterable[Thing]) -> tuple[Thing, ...]:
    by_name: dict[object, Thing] = {}
    for thing in things:
        by_name.setdefault((thing.terms or thing.words, thing.which.side), thing)
    return tuple(by_name.values())


def _apply_operations(
    intent: Intent, looked_for: tuple[Thing, ...], standing: Standing
) -> tuple[Operation, ...]:
    """Do what the request says of masks that are there; return what has to wait."""
    deferred: list[Operation] = []
    for operation in intent.operations:
        if operation.act == "box":
            _apply_box(operation, intent, standing)
        elif _must_wait(operation, looked_for, standing):
            if operation.act in ("keep", "retry") and operation.things and standing.targets:
                carry_out(operation, standing)
            deferred.append(operation)
        else:
            carry_out(operation, standing)
    _narrow_named(intent, standing)
    return tuple(deferred)


def _narrow_named(intent: Intent, standing: Standing) -> None:
    """Show only the masks that a request names of what stands: "the left lung" of both.

    Not where an operation or a question is about them.
    """
    used = [thing for one in intent.operations for thing in (*one.things, *one.minus)]
    used += [thing for question in intent.questions for thing in question.things]
    names = {thing.words for thing in used}
    for thing in intent.find:
        keys = named_targets([thing], standing)
        if keys and thing.words not in names and limits(thing.which):
            narrow(keys, thing.which, standing)


def _must_wait(operation: Operation, looked_for: tuple[Thing, ...], standing: Standing) -> bool:
    """Tell whether an operation is about something that the run is to find first."""
    if operation.masks or operation.act in ("clear", "exclude", "add", "retry"):
        return False
    if not operation.things:
        is_new = any(not named_targets([thing], standing) for thing in looked_for)
        return is_new and not (operation.act == "swap" and len(standing.targets) == 2)
    names = {thing.words for thing in looked_for} | {
        term for thing in looked_for for term in thing.terms
    }
    return any(
        not named_targets([thing], standing) and ({thing.words, *thing.terms} & names)
        for thing in (*operation.things, *operation.minus)
    )


def _apply_box(operation: Operation, intent: Intent, standing: Standing) -> None:
    """Take a box of the request's words for the target in question, where one stands."""
    box = _fitting_box(operation, standing.image)
    if box is None:
        standing.notes.append("the box was not used: it lies outside of the image or is too small")
        return
    keys = meant_targets(operation, standing)
    if intent.find or not keys:
        return
    reopen(standing.targets[keys[-1]].target, standing, box=box)
    standing.notes.append(f"looked for {standing.label(keys[-1])} in the box")


def _fitting_box(operation: Operation, image: ImageRef) -> Box | None:
    box = operation.box
    cut = box and clip_box(box, width=image.width, height=image.height)
    if cut is None or min(cut.x1 - cut.x0, cut.y1 - cut.y0) < MIN_BOX_PX:
        return None
    return cut


def _box_for_new(
    request: AgentRequest, intent: Intent, looked_for: tuple[Thing, ...], standing: Standing
) -> Box | None:
    """Return the box for what is looked for; a box for what stands reopens that."""
    boxes = [_fitting_box(operation, standing.image) for operation in intent.acts("box")]
    box = request.box or next((one for one in reversed(boxes) if one is not None), None)
    if box is None or standing.boxes:
        return None if request.box is None else request.box
    if request.box is not None and not looked_for and standing.targets:
        meant = it(standing) or list(standing.targets)
        reopen(standing.targets[meant[-1]].target, standing, box=box)
        return None
    spoken = [target for target in standing.spoken if target.id not in standing.targets]
    if not looked_for and spoken and not standing.targets:
        # Looked for before and not found: the box is for that.
        reopen(spoken[-1], standing, box=box)
        return None
    return box


def _opening(
    standing: Standing,
    intent: Intent,
    thread: ThreadRecord,
    *,
    looked_for: tuple[Thing, ...],
    hidden: tuple[Thing, ...],
    deferred: tuple[Operation, ...],
    box: Box | None,
    asks_planner: bool,
) -> Opening:
    touched = [standing.targets[key].target for key in standing.touched if key in standing.targets]
    touched += [target for target in standing.reopened.values() if target not in touched]
    return Opening(
        intent=intent,
        looked_for=looked_for,
        hidden=hidden,
        deferred=deferred,
        notes=tuple(dict.fromkeys(standing.notes)),
        spoken=tuple(dict.fromkeys(touched)),
        kept=tuple(
            result for key, result in standing.targets.items() if key not in standing.reopened
        ),
        reopened=tuple(standing.reopened.values()),
        retried=frozenset(standing.retried),
        incumbents={
            key: mask_ids(standing.targets[key])
            for key in standing.reopened
            if key in standing.targets
        },
        flaws=standing.flaws,
        boxes=standing.boxes,
        box=box,
        verdicts=tuple(standing.verdicts),
        candidates=tuple(standing.candidates.values()),
        tried=thread.tried,
        modality=standing.modality,
        next_mask=standing.next_mask,
        next_target=first_free_target(standing),
        asks_planner=asks_planner,
        emptied=bool(thread.targets or intent.acts("undo", "redo"))
        and not (standing.targets or standing.reopened or asks_planner),
    )


def _apply_edit(edit: Edit, standing: Standing) -> None:
    if edit.box is not None and edit.action == "box":
        _draw(edit.box, edit.label, standing)
    elif edit.mask_id is not None and edit.action == "accept":
        accept(edit.mask_id, standing)
    elif edit.mask_id is not None:
        reject(edit.mask_id, standing)
        forget_empty(standing)


def _draw(box: Box, label: str | None, standing: Standing) -> None:
    """Work on a target in a person's box: the one of the label, else the last one, else a new."""
    keys = it(standing) or list(standing.targets)
    target = standing.targets[keys[-1]].target if keys else None
    if label is not None:
        target = _labelled(label, standing)
    if target is None:
        concept = to_concept(label or "")
        target = Target(
            id=f"t{first_free_target(standing)}",
            label=(label or REGION_LABEL)[:MAX_LABEL_CHARS],
            phrases=(concept,) if concept else (),
            count="one",
        )
        standing.targets[target.id] = TargetResult(target=target, status=Status.UNCERTAIN, masks=())
    reopen(target, standing, box=box)


def _labelled(label: str, standing: Standing) -> Target | None:
    words = normalise(label)
    targets = [result.target for result in standing.targets.values()]
    return next((target for target in targets if normalise(target.label) == words), None)


def known_now(thread: ThreadRecord, words: str, lexicon: Lexicon) -> str:
    """Return the modality as known now: by the image's tag, the request's words, the thread."""
    return known_modality(
        modality_of_tag(thread.image.modality, lexicon),
        words,
        modality_of_name(thread.modality, lexicon),
    )
