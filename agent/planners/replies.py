"""Translates the MLLM's plan into our terms.

What a model says is used, or it does not fit and is asked again, or it is named in the plan's
note: nothing is left out in silence. Pure.
"""

from collections.abc import Mapping, Sequence

from agent.language.coverage import Words
from agent.mllm.json.misfit import Misfit
from agent.planners.coordinates import BoxCoordinates, to_calls
from agent.planners.intents import invented, to_intent
from agent.planners.reading.calls import RawCall
from agent.planners.reading.concepts import phrase
from agent.planners.reading.fields import choice_of, first_of
from agent.planners.reading.operations import which_of, words_of
from agent.planners.reading.plans import read_plan
from agent.planners.reading.wordings import DECISIONS, count_of, note_of, place_words
from agent.planners.reply_schemas import MAX_NOTE_CHARS, PlanReply, TargetReply, parse
from agent.schemas.intent import Intent
from agent.schemas.plan import MAX_CALLS_PER_ROUND, MAX_TARGETS, Call, Plan, Target


def to_plan(value: object, coordinates: BoxCoordinates, words: Words) -> Plan:
    """Translate the answer to ``plan.md``; targets are called ``t1``, ``t2`` ... in its order.

    Args:
        value: the answer.
        coordinates: between the model's boxes and ours.
        words: of the request, which the answer must account for.

    Raises:
        Misfit: a field is missing or cannot be understood, or nothing is planned at all.
    """
    raw = read_plan(value, coordinates.style)
    reply = parse(_plan_words(raw.fields, raw.targets, raw.calls), PlanReply)
    calls = to_calls(raw.calls, _ids(len(reply.targets)), coordinates)
    unasked = invented(reply.targets, words)
    asked = [place for place in range(len(reply.targets)) if place not in unasked]
    kept = asked[:MAX_TARGETS]
    targets = [_target(reply.targets[place], place, calls) for place in kept]
    read = to_intent(raw.fields, [reply.targets[place] for place in kept], words, coordinates)
    if reply.decision == "segment" and not targets and not _says_something(read.intent):
        raise Misfit("targets", "must name at least one, unless operations or questions do")
    ids = {target.id for target in targets}
    made = [call for call in calls if call.target in ids][:MAX_CALLS_PER_ROUND]
    notes = [
        _named("not asked for in the request", [reply.targets[place] for place in sorted(unasked)]),
        _named(
            "not looked for in this run", [reply.targets[place] for place in asked[MAX_TARGETS:]]
        ),
        *read.notes,
        *(f"not understood of the plan: {where}" for where in _unread(raw.targets).values()),
    ]
    return Plan(
        decision=reply.decision,
        modality=reply.modality or "unknown",
        targets=tuple(targets),
        calls=tuple(made),
        note=remark(reply.note, notes, raw.calls, left_out=len(calls) - len(made)),
        intent=read.intent,
    )


def _says_something(intent: Intent) -> bool:
    return bool(intent.operations or intent.questions or intent.talk)


def _named(remark: str, targets: Sequence[TargetReply]) -> str:
    labels = ", ".join(target.label for target in targets)
    return f"{remark}: {labels}" if labels else ""


def _plan_words(
    fields: Mapping[str, object],
    targets: Sequence[Mapping[str, object]],
    calls: Sequence[RawCall],
) -> dict[str, object]:
    """Return a plan's fields in our words; a decision that lacks is told by what is planned."""
    plans = targets or calls or any(fields.get(name) for name in ("operations", "questions"))
    decision = fields.get("decision", "segment" if plans else None)
    if decision is None and fields.get("talk"):
        decision = "unclear"
    unread = _unread(targets)
    return {
        **fields,
        "decision": choice_of(decision, DECISIONS, "decision"),
        "modality": first_of(fields.get("modality", "unknown")),
        "note": note_of(fields.get("note"), "note"),
        "targets": [
            {
                **target,
                "count": count_of(target.get("count", _count(place, calls))),
                "where": place_words(target.get("where"), f"targets[{place}].where"),
                # Words that say more than could be read account for nothing but the label.
                "words": "" if place in unread else words_of(target.get("words")),
                "which": None if place in unread else which_of(target.get("which"), ""),
            }
            for place, target in enumerate(targets)
        ],
    }


def _unread(targets: Sequence[Mapping[str, object]]) -> dict[int, str]:
    """Return the paths of what targets say of "which" and cannot be read, by place."""
    unread: dict[int, str] = {}
    for place, target in enumerate(targets):
        try:
            which_of(target.get("which"), f"targets[{place}].which")
        except Misfit as misfit:
            unread[place] = misfit.where
    return unread


def _count(place: int, calls: Sequence[RawCall]) -> str:
    """Return how many a target is, told by boxes that stand side by side on one call."""
    most = max((len(call.boxes) for call in calls if call.target == place), default=0)
    return "several" if most > 1 else "unknown"


def _ids(count: int) -> list[str]:
    return [f"t{number}" for number in range(1, count + 1)]


def _target(reply: TargetReply, place: int, calls: Sequence[Call]) -> Target:
    """Make a target; its phrases are what the model asks for first, else its label.

    Raises:
        Misfit: neither its label nor a call has an English word or a box for it.
    """
    name = f"t{place + 1}"
    own = [call for call in calls if call.target == name]
    asked = [call.concept for call in own if call.concept is not None]
    phrases = tuple(dict.fromkeys(asked)) or tuple(filter(None, [phrase(reply.label)]))
    if not phrases and not own:
        raise Misfit(f"targets[{place}].label", "must be English, or a call must have a box for it")
    return Target(id=name, label=reply.label, phrases=phrases, count=reply.count, where=reply.where)


def remark(said: str, notes: Sequence[str], calls: Sequence[RawCall], *, left_out: int) -> str:
    """Return the model's remark with all of its answer that is not used, named first."""
    words = [call.unused for call in calls if call.unused]
    every = [
        *notes,
        f"box used without the words: {', '.join(dict.fromkeys(words))}" if words else "",
        f"{left_out} calls left out, a round has room for {MAX_CALLS_PER_ROUND}"
        if left_out
        else "",
        said,
    ]
    return "; ".join(note for note in every if note)[:MAX_NOTE_CHARS]
