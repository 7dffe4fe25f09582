"""The forms of the MLLM's answers: strict reply models, and the schemas made of them. Pure.

Answers are untrusted. They come here after `agent.planners.reading` has brought them into our
words; additional fields are ignored. A new field goes into its model here, with the other names it
may have into `agent.planners.reading.wordings`, and is used in `agent.planners.replies`.
"""

from collections.abc import Mapping
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

from agent.mllm.box_formats import BoxStyle
from agent.mllm.json.decode import clean_text
from agent.mllm.json.misfit import Misfit
from agent.mllm.json.schema import to_schema
from agent.schemas.intent import Act, Height, Rank, Side, Talk, Topic, Unit
from agent.schemas.rounds import Issue

MAX_WORDS_CHARS = 200
MAX_LABEL_CHARS = 60
MAX_NOTE_CHARS = 400

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
Part = Annotated[str, _word(MAX_WORDS_CHARS), BeforeValidator(_or_empty), _NULLABLE]
Numbers = list[float]


class _Reply(BaseModel):
    """Strict types, finite numbers; additional fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


class WhichReply(_Reply):
    """Which of several is meant, as `agent.schemas.intent.Which`."""

    side: Side | None = None
    whose: Literal["patient", "image"] | None = None
    place: Height | None = None
    rank: Rank | None = None
    nth: int | None = None
    limit: int | None = None
    border: Literal["touching", "clear"] | None = None


# As words: an object of seven fields, twice, would take a third of the schema.
_WORDS = WithJsonSchema({"type": "array", "items": {"type": "string"}})


class TargetReply(_Reply):
    """A target as the model names it; `words` are the request's own."""

    label: Label
    words: Part = ""
    count: Literal["one", "several", "unknown"] = "unknown"
    where: Note = ""
    which: Annotated[WhichReply | None, _WORDS] = None


class CallReply(_Reply):
    """A call as the model is asked for it; `agent.planners.reading.calls` reads what it writes."""

    target: int
    concept: Annotated[str | None, _NULLABLE] = None
    box: Numbers | None = None
    avoid: list[Numbers] = Field(default_factory=list)


class MaskReply(_Reply):
    """A verdict on one panel."""

    id: Annotated[str, _word(MAX_LABEL_CHARS)]
    verdict: Literal["accept", "partial", "reject"]
    issue: Annotated[Issue, Field(strict=False)] = Issue.NONE
    better_than_incumbent: Literal["yes", "no", "same"] = "same"


class OperationReply(_Reply):
    """What is to be done with outlines, as `agent.schemas.intent.Operation`.

    Its box is read apart, by `agent.planners.reading.operations`.
    """

    act: Act
    words: Part
    masks: list[str] = Field(default_factory=list)
    targets: list[Label] = Field(default_factory=list)
    minus: list[Label] = Field(default_factory=list)
    which: Annotated[WhichReply | None, _WORDS] = None
    amount: Annotated[float | None, WithJsonSchema({"type": ["number", "null"]})] = None
    unit: Annotated[Unit | None, _NULLABLE] = None
    box: SkipValidation[Numbers | None] = None


class QuestionReply(_Reply):
    """What is to be told, as `agent.schemas.intent.Question`."""

    topic: Topic
    words: Part
    masks: list[str] = Field(default_factory=list)
    targets: list[Label] = Field(default_factory=list)
    unit: Annotated[Unit | None, _NULLABLE] = None


class TalkReply(_Reply):
    """Small talk, or none."""

    talk: Talk | None


class PlanReply(_Reply):
    """The answer to ``plan.md``.

    Operations and questions are read one by one (`agent.planners.intents`): one that cannot be read
    spoils no other.
    """

    decision: Literal["segment", "absent", "unclear"]
    modality: Annotated[str, _word(MAX_LABEL_CHARS)] = "unknown"
    targets: list[TargetReply] = Field(default_factory=list)
    calls: SkipValidation[list[CallReply]] = Field(default_factory=list)
    operations: SkipValidation[list[OperationReply]] = Field(default_factory=list)
    questions: SkipValidation[list[QuestionReply]] = Field(default_factory=list)
    talk: Annotated[SkipValidation[Talk | None], _NULLABLE] = None
    context: SkipValidation[list[str]] = Field(default_factory=list)
    not_understood: SkipValidation[list[str]] = Field(default_factory=list)
    note: Note = ""


class InspectReply(_Reply):
    """The answer to ``inspect.md``."""

    masks: list[MaskReply]
    complete: SkipValidation[list[int]] = Field(default_factory=list)
    missing: Note = ""
    next: Literal["stop", "segment", "absent"]
    calls: SkipValidation[list[CallReply]] = Field(default_factory=list)


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
    """Check an answer that is in our words.

    Raises:
        Misfit: names the first field that is missing or of another type.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"])
    needs = "is missing" if fault["type"] == "missing" else "is of another form than asked for"
    raise Misfit(where.removeprefix("."), needs)
