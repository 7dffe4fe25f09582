"""Makes a planner's plan fit: ids of the thread, phrases and priors, the first calls. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from agent.contract import PlanQuestion
from agent.conversation.merge import unplanned
from agent.conversation.opening import Opening
from agent.conversation.standing import mask_ids
from agent.language.coverage import Words
from agent.language.lexicon import load_lexicon, normalise
from agent.language.modality import (
    known_modality,
    modality_of_name,
    modality_of_tag,
)
from agent.planners.enrichment import enrich
from agent.planners.rules import plan_request
from agent.policy.calls import SAME_BOX_IOU, CallLimits, admit
from agent.policy.ledger import Ids
from agent.policy.next_calls import first_calls, repair_calls, retry_calls, widening_calls
from agent.schemas.intent import Thing
from agent.schemas.plan import MAX_TARGETS, Call, Plan, Target
from agent.schemas.runs import TargetResult
from segmenter.contract import BoxPrompt
from segmenter.masks.geometry import box_iou

MAX_NOTE_CHARS = 500


def reopened_plan(opening: Opening, limits: CallLimits) -> Plan:
    """Return the plan that follows from a person's word alone."""
    calls = [call for target in opening.reopened for call in _reopening(target, opening, limits)]
    return Plan(
        decision="segment" if opening.reopened else "unclear",
        modality=opening.modality,
        targets=opening.reopened,
        calls=admit(calls, opening.reopened, limits),
    )


def _reopening(target: Target, opening: Opening, limits: CallLimits) -> tuple[Call, ...]:
    """Use the person's box; else repair what they found wrong; else widen the search."""
    box, flaw = opening.boxes.get(target.id), opening.flaws.get(target.id)
    if box is not None:
        boxed = Call(target=target.id, concept=None, boxes=(BoxPrompt(box=box),))
        return (*first_calls([target], (), box, limits), boxed)
    if target.id in opening.retried:
        return retry_calls(target, limits)
    if flaw is None:
        return ()
    return repair_calls(target, flaw, limits) or widening_calls(target, limits)


def admit_plan(plan: Plan, question: PlanQuestion, reopened: Plan, limits: CallLimits) -> Plan:
    """Return the plan with the thread's ids, full phrases and admissible first calls."""
    plan = _with_unplanned(plan, question) if plan.targets else _as_ruled(plan, question)
    names = _thread_ids(plan.targets, question)
    modality = _modality(plan, question)
    renumbered = [target.model_copy(update={"id": names[target.id]}) for target in plan.targets]
    targets = enrich(renumbered, question, modality)
    taken = {target.id for target in targets}
    # What a person speaks of comes first: a reopened target that is cut off would be lost.
    first = [target for target in reopened.targets if target.id not in taken]
    room = max(0, MAX_TARGETS - len(first))
    both = [*first, *targets[:room]]
    renamed = [
        call.model_copy(update={"target": names[call.target]})
        for call in plan.calls
        if call.target in names
    ]
    asked = first_calls(
        [target for target in both if target.id in taken], renamed, question.box, limits
    )
    calls = admit((*reopened.calls, *asked), both, limits)
    return Plan(
        decision=plan.decision if not reopened.targets else "segment",
        modality=modality,
        targets=tuple(both),
        calls=calls,
        note=_note(plan.note, targets[room:], _unused_boxes(renamed, calls)),
        intent=plan.intent,
    )


def _as_ruled(plan: Plan, question: PlanQuestion) -> Plan:
    """Return a plan for what the rules read, as the model has no target.

    Neither "absent" nor "unclear" is the model's word alone: the tool is asked for what the words
    name.
    """
    ruled = plan_request(question, load_lexicon())
    decision = ruled.decision if plan.decision == "unclear" else plan.decision
    notes = "; ".join(note for note in (plan.note, ruled.note) if note)
    return ruled.model_copy(update={"decision": decision, "note": notes, "intent": plan.intent})


def _with_unplanned(plan: Plan, question: PlanQuestion) -> Plan:
    """Return the plan with what the request's operations and questions need besides."""
    words = Words(question.request, question.intent.corrections)
    missing = tuple(
        thing
        for thing in unplanned(question.intent.find, plan, words)
        if not _is_kept(thing, question.kept)
    )
    if not missing:
        return plan
    rest = replace(
        question,
        intent=question.intent.model_copy(update={"find": missing}),
        first_target=max((int(target.id[1:]) for target in plan.targets), default=0) + 1,
    )
    ruled = plan_request(rest, load_lexicon())
    notes = "; ".join(note for note in (plan.note, ruled.note) if note)
    return plan.model_copy(update={"targets": (*plan.targets, *ruled.targets), "note": notes})


def _is_kept(thing: Thing, kept: Sequence[TargetResult]) -> bool:
    labels = {normalise(result.target.label) for result in kept}
    return not labels.isdisjoint(map(normalise, (thing.words, *thing.terms)))


def _unused_boxes(planned: Iterable[Call], calls: Sequence[Call]) -> int:
    """Count the planner's boxes that no call is made with."""
    used = [(call.target, prompt.box) for call in calls for prompt in call.boxes]
    return sum(
        prompt.label == "positive"
        and not any(
            target == call.target and box_iou(box, prompt.box) > SAME_BOX_IOU
            for target, box in used
        )
        for call in planned
        for prompt in call.boxes
    )


def _note(note: str, left_out: Sequence[Target], unused_boxes: int) -> str:
    """Return the planner's remark, and what there was no room for."""
    labels = ", ".join(target.label for target in left_out)
    notes = [
        note,
        f"not looked for in this run: {labels}" if labels else "",
        f"boxes of the plan not used in the first round: {unused_boxes}" if unused_boxes else "",
    ]
    return "; ".join(note for note in notes if note)[:MAX_NOTE_CHARS]


def _modality(plan: Plan, question: PlanQuestion) -> str:
    """Return our name of the modality: by the image's tag, the plan, the request, the thread."""
    lexicon = load_lexicon()
    return known_modality(
        modality_of_tag(question.image.modality, lexicon),
        modality_of_name(plan.modality, lexicon),
        question.modality,
    )


def _thread_ids(targets: Sequence[Target], question: PlanQuestion) -> dict[str, str]:
    """Map a plan's target ids to the thread's: a kept label keeps its id, others get new ones."""
    kept = {normalise(result.target.label): result.target.id for result in question.kept}
    names: dict[str, str] = {}
    number = question.first_target
    for target in targets:
        known = kept.get(normalise(target.label))
        if known is not None and known not in names.values():
            names[target.id] = known
            continue
        names[target.id] = f"t{number}"
        number += 1
    return names


def standing_ids(kept: Sequence[TargetResult], named: set[str]) -> dict[str, Ids]:
    """Return the masks of kept targets that the new plan names again: they stand as incumbents."""
    return {result.target.id: mask_ids(result) for result in kept if result.target.id in named}
