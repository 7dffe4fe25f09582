"""The forms of the MLLM's answers: portable JSON schemas and strict reply models. Pure.

Answers are untrusted. Single items of a list are checked one by one, so that a bad one costs only
itself; additional fields are ignored for the same reason.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from agent.errors import MllmReplyError
from agent.mllm.box_formats import BoxStyle
from agent.mllm.json.decode import clean_text
from agent.schemas.rounds import Issue

MAX_LABEL_CHARS = 60
MAX_NOTE_CHARS = 400
# Far more than is used; bounds the work on a runaway list.
MAX_ITEMS = 64

Item = TypeVar("Item", bound=BaseModel)


def _word(limit: int) -> BeforeValidator:
    def cleaned(value: object) -> object:
        return clean_text(value).strip()[:limit].rstrip() if isinstance(value, str) else value

    return BeforeValidator(cleaned)


def _or_empty(value: object) -> object:
    return "" if value is None else value


Label = Annotated[str, _word(MAX_LABEL_CHARS), Field(min_length=1)]
Note = Annotated[str, _word(MAX_NOTE_CHARS), BeforeValidator(_or_empty)]


class _Reply(BaseModel):
    """Strict types, finite numbers; additional fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


class TargetReply(_Reply):
    """A target as the model names it."""

    label: Label
    count: Literal["one", "several", "unknown"] = "unknown"
    where: Note = ""


class CallReply(_Reply):
    """A call as the model asks for it; boxes are still in its own coordinates."""

    target: int
    concept: str | None = None
    box: object = None
    avoid: object = None


class MaskReply(_Reply):
    """A verdict on one panel."""

    id: Annotated[str, _word(MAX_LABEL_CHARS)]
    verdict: Literal["accept", "partial", "reject"]
    issue: Annotated[Issue, Field(strict=False)] = Issue.NONE
    better_than_incumbent: Literal["yes", "no", "same"] = "same"


class PlanReply(_Reply):
    """The answer to ``plan.md``."""

    decision: Literal["segment", "absent", "unclear"]
    modality: Annotated[str, _word(MAX_LABEL_CHARS)]
    targets: list[object]
    calls: list[object]
    note: Note = ""


class InspectReply(_Reply):
    """The answer to ``inspect.md``."""

    masks: list[object]
    complete: list[object]
    missing: Note = ""
    next: Literal["stop", "segment", "absent"]
    calls: list[object]


class ComparisonReply(_Reply):
    """The answer to ``compare.md``."""

    better: Literal["A", "B", "same"]
    reason: Note = ""


def plan_schema(style: BoxStyle) -> dict[str, object]:
    """Return the portable schema of a `PlanReply`."""
    target = _object(
        {
            "label": _STRING,
            "count": _choice("one", "several", "unknown"),
            "where": _NULLABLE,
        }
    )
    return _object(
        {
            "decision": _choice("segment", "absent", "unclear"),
            "modality": _STRING,
            "targets": _list(target),
            "calls": _list(_call_schema(style)),
            "note": _NULLABLE,
        }
    )


def inspect_schema(style: BoxStyle) -> dict[str, object]:
    """Return the portable schema of an `InspectReply`."""
    mask = _object(
        {
            "id": _STRING,
            "verdict": _choice("accept", "partial", "reject"),
            "issue": _choice(*(issue.value for issue in Issue)),
            "better_than_incumbent": _choice("yes", "no", "same"),
        }
    )
    return _object(
        {
            "masks": _list(mask),
            "complete": _list({"type": "integer"}),
            "missing": _NULLABLE,
            "next": _choice("stop", "segment", "absent"),
            "calls": _list(_call_schema(style)),
        }
    )


def comparison_schema() -> dict[str, object]:
    """Return the portable schema of a `ComparisonReply`."""
    return _object({"better": _choice("A", "B", "same"), "reason": _NULLABLE})


def parse(content: Mapping[str, object], model: type[Item]) -> Item:
    """Check an answer's outermost fields.

    Raises:
        MllmReplyError: a field is missing or of another type.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        count = error.error_count()
    raise MllmReplyError(f"answer is no {model.__name__} ({count} errors)")


def sound_items(items: Sequence[object], model: type[Item]) -> list[Item]:
    """Return those items of a list that fit; bounded."""
    found: list[Item] = []
    for item in items[:MAX_ITEMS]:
        try:
            found.append(model.model_validate(item))
        except ValidationError:
            continue
    return found


_STRING: dict[str, object] = {"type": "string"}
_NULLABLE: dict[str, object] = {"type": ["string", "null"]}
_BOX: dict[str, object] = {"type": "array", "items": {"type": "number"}}


def _choice(*words: str) -> dict[str, object]:
    return {"type": "string", "enum": list(words)}


def _list(items: dict[str, object]) -> dict[str, object]:
    return {"type": "array", "items": items}


def _object(properties: dict[str, object]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _call_schema(style: BoxStyle) -> dict[str, object]:
    return _object(
        {
            "target": {"type": "integer"},
            "concept": _NULLABLE,
            style.key: {"anyOf": [_BOX, {"type": "null"}]},
            "avoid": _list(_BOX),
        }
    )
