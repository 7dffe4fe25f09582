"""Translates what the MLLM says of outlines: verdicts, next steps, comparisons. Pure."""

from collections.abc import Mapping, Sequence
from typing import Literal

from agent.mllm.json.misfit import Misfit
from agent.planners.coordinates import BoxCoordinates, to_calls
from agent.planners.reading.box_shapes import is_boxed, strays
from agent.planners.reading.calls import RawCall, items_of, read_calls, references
from agent.planners.reading.fields import choice_of, entries_of, fields_of, first_of, list_of
from agent.planners.reading.numbering import to_numbering
from agent.planners.reading.wordings import (
    BETTER,
    COMPARISON_FIELDS,
    INSPECT_FIELDS,
    ISSUES,
    MASK_FIELDS,
    NEXT_STEPS,
    PANELS,
    VERDICTS,
    note_of,
)
from agent.planners.replies import remark
from agent.planners.reply_schemas import ComparisonReply, InspectReply, MaskReply, parse
from agent.schemas.plan import MAX_CALLS_PER_ROUND
from agent.schemas.rounds import Inspection, Verdict


def to_inspection(
    value: object,
    coordinates: BoxCoordinates,
    *,
    targets: Sequence[str],
    panels: Mapping[str, Sequence[str]],
    labels: Sequence[str] = (),
) -> Inspection:
    """Translate the answer to ``inspect.md``.

    Args:
        value: JSON as the model wrote it.
        coordinates: between the model's boxes and ours.
        targets: ids of the targets in the order of their numbers.
        panels: label of each panel -> ids of the candidates it shows.
        labels: of the targets.

    Raises:
        Misfit: a field is missing or cannot be understood.
    """
    fields = _inspect_fields(value)
    items = items_of(fields.get("calls"))
    masks = [
        _mask_words(item, place)
        for place, item in enumerate(entries_of(fields.get("masks"), "id", MASK_FIELDS))
    ]
    finished = fields.get("complete")
    counted = [*references(items), *(list_of(finished) if type(finished) is not bool else [])]
    numbering = to_numbering(labels or targets, counted)
    calls = read_calls(items, numbering, coordinates.style)
    words = {"masks": masks, "next": _next(fields, masks, calls)}
    words["missing"] = note_of(fields.get("missing"), "missing")
    reply = parse(words, InspectReply)
    made = to_calls(calls, targets, coordinates)
    complete = (
        set(range(len(targets)))
        if finished is True
        else {
            numbering.place_of(each, f"complete[{place}]")
            for place, each in enumerate(_finished(finished))
        }
    )
    return Inspection(
        verdicts=_verdicts(reply.masks, panels),
        complete={name: place in complete for place, name in enumerate(targets)},
        missing=remark(reply.missing, (), calls, left_out=max(0, len(made) - MAX_CALLS_PER_ROUND)),
        next=reply.next,
        calls=made[:MAX_CALLS_PER_ROUND],
    )


def _inspect_fields(value: object) -> dict[str, object]:
    """Return the outermost fields by our names; a list of verdicts alone is one too."""
    if isinstance(value, list) and value and all(map(_is_verdict, value)):
        value = {"masks": value}
    known, rest = fields_of(value, INSPECT_FIELDS, "") if isinstance(value, dict) else ({}, {})
    if not known:
        raise Misfit("", "must be one JSON object with masks, complete and next", is_other=True)
    if is_boxed(rest) or strays(rest):
        raise Misfit("calls", "must hold all boxes")
    return known


def _is_verdict(value: object) -> bool:
    return isinstance(value, dict) and {"id", "verdict"} <= set(
        fields_of(value, MASK_FIELDS, "masks").known
    )


def _finished(value: object) -> list[object]:
    """Return the targets that a list, or an object of truths by target, says are complete."""
    if isinstance(value, dict) and all(isinstance(truth, bool) for truth in value.values()):
        return [name for name, truth in value.items() if truth]
    return [] if value is False else list_of(value)


def _mask_words(item: object, place: int) -> dict[str, object]:
    """Return a verdict in our words."""
    where = f"masks[{place}]"
    if not isinstance(item, dict):
        raise Misfit(where, "must be an object with an id and a verdict")
    known, rest = fields_of(item, MASK_FIELDS, where)
    choices = {"verdict": VERDICTS, "issue": ISSUES, "better_than_incumbent": BETTER}
    for name, words in choices.items():
        if name in known:
            known[name] = choice_of(first_of(known[name]), words, f"{where}.{name}")
    # Beside a mask that is good enough a box only says where it is.
    if is_boxed(rest) and known.get("verdict") != "accept":
        raise Misfit(where, "must hold no box: a new one belongs into `calls`")
    return {**known, "id": str(known.get("id", ""))}


def _next(
    fields: Mapping[str, object],
    masks: Sequence[Mapping[str, object]],
    calls: Sequence[RawCall],
) -> str:
    """Return the next step; one that lacks is told by the calls and the verdicts."""
    if "next" in fields:
        return choice_of(fields["next"], NEXT_STEPS, "next")
    settled = masks and all(mask.get("verdict") == "accept" for mask in masks)
    return "stop" if settled and not calls else "segment"


def _verdicts(
    replies: Sequence[MaskReply], panels: Mapping[str, Sequence[str]]
) -> tuple[Verdict, ...]:
    """Give a panel's verdict to each of its candidates.

    Raises:
        Misfit: a panel is not there, or is judged twice and not the same; or none is judged.
    """
    by_label = {label.upper(): ids for label, ids in panels.items()}
    found: dict[str, Verdict] = {}
    for place, reply in enumerate(replies):
        label = _panel(reply.id, by_label)
        if label is None:
            raise Misfit(f"masks[{place}].id", f"must be one of {', '.join(panels)}")
        for candidate in by_label[label]:
            verdict = Verdict(
                candidate=candidate,
                verdict=reply.verdict,
                issue=reply.issue,
                better_than_incumbent=reply.better_than_incumbent,
                by="mllm",
            )
            if found.setdefault(candidate, verdict) != verdict:
                raise Misfit(f"masks[{place}].id", "must be judged once")
    if panels and not found:
        raise Misfit("masks", "must judge every panel")
    return tuple(found.values())


def _panel(name: str, labels: Mapping[str, object]) -> str | None:
    """Return the label of the panel that a name means: "M1", "panel M1", "M1 (yellow)" or "1"."""
    words = name.upper().replace("(", " ").replace(":", " ").split()
    named = [word for word in words if word in labels] or [f"M{word}" for word in words]
    return named[0] if len(named) == 1 and named[0] in labels else None


def to_winner(value: object) -> Literal["first", "second", "same"]:
    """Translate the answer to ``compare.md``: panel A shows the first set, B the second.

    Raises:
        Misfit: the answer names no panel.
    """
    names: dict[str, Literal["first", "second", "same"]] = {
        "A": "first",
        "B": "second",
        "same": "same",
    }
    if isinstance(value, str) and value.strip()[:1] not in "{[":
        value = {"better": value}
    known = fields_of(value, COMPARISON_FIELDS, "").known if isinstance(value, dict) else {}
    if "better" not in known:
        raise Misfit("", "must be one JSON object with `better`", is_other=True)
    better = choice_of(known["better"], PANELS, "better")
    return names[parse({"better": better}, ComparisonReply).better]
