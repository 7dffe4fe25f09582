"""The forms of the MLLM's answers: strict reply models, and the schemas made of them. Pure.

Answers are untrusted. Single items of a list are checked one by one, so that a bad one costs only
itself (`SkipValidation`: the type is for the schema); additional fields are ignored for the same
reason.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SkipValidation,
    ValidationError,
    WithJsonSchema,
)

from agent.errors import MllmReplyError
from agent.mllm.box_formats import BoxStyle
from agent.mllm.json.decode import clean_text
from agent.mllm.json.schema import to_schema
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
_NULLABLE = WithJsonSchema({"type": ["string", "null"]})
Note = Annotated[str, _word(MAX_NOTE_CHARS), BeforeValidator(_or_empty), _NULLABLE]
Numbers = list[float]


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
    concept: Annotated[str | None, _NULLABLE] = None
    box: SkipValidation[Numbers | None] = None
    avoid: SkipValidation[list[Numbers]] = Field(default_factory=list)


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
    targets: list[SkipValidation[TargetReply]]
    calls: list[SkipValidation[CallReply]]
    note: Note = ""


class InspectReply(_Reply):
    """The answer to ``inspect.md``."""

    masks: list[SkipValidation[MaskReply]]
    complete: list[SkipValidation[int]]
    missing: Note = ""
    next: Literal["stop", "segment", "absent"]
    calls: list[SkipValidation[CallReply]]


class ComparisonReply(_Reply):
    """The answer to ``compare.md``."""

    better: Literal["A", "B", "same"]
    reason: Note = ""


def plan_schema(style: BoxStyle) -> dict[str, object]:
    """Return the portable schema of a `PlanReply`."""
    return to_schema(PlanReply, {"box": style.key})


def inspect_schema(style: BoxStyle) -> dict[str, object]:
    """Return the portable schema of an `InspectReply`."""
    return to_schema(InspectReply, {"box": style.key})


def comparison_schema() -> dict[str, object]:
    """Return the portable schema of a `ComparisonReply`."""
    return to_schema(ComparisonReply, {})


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
