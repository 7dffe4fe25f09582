"""What travels between callers and workers: versioned JSON, checked on both ends, never pickle."""

from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from segmenter import errors
from segmenter.contract import (
    Capabilities,
    Failure,
    Frozen,
    ModelInfo,
    SegmentRequest,
    SegmentResult,
)

SCHEMA_VERSION: Literal[1] = 1

JobId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


Message = TypeVar("Message", bound=Frozen)


class MalformedMessage(ValueError):
    """The text is no message of this schema version."""


class Job(Frozen):
    """One piece of work; `request` belongs to the kind ``segment`` alone.

    What a ``volume`` job is asked is kept under its id (`segmenter.volumes.store`), so that
    messages stay small; so is what a ``run`` is, by whoever queued it.
    """

    version: Literal[1] = SCHEMA_VERSION
    id: JobId
    kind: Literal["segment", "capabilities", "volume", "run"]
    request: SegmentRequest | None = None

    @model_validator(mode="after")
    def _request_fits_kind(self) -> "Job":
        if (self.kind == "segment") is (self.request is None):
            raise ValueError(
                f"a {self.kind} job needs {'a' if self.kind == 'segment' else 'no'} request"
            )
        return self


class Answer(Frozen):
    """How a job ended: exactly one of its fields is set, so a failure is never an empty result.

    Attributes:
        volume: id of the volume job whose result is kept.
        run: id of the run job whose record is kept.
    """

    version: Literal[1] = SCHEMA_VERSION
    result: SegmentResult | None = None
    capabilities: Capabilities | None = None
    volume: JobId | None = None
    run: JobId | None = None
    failure: Failure | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> "Answer":
        parts = (self.result, self.capabilities, self.volume, self.run, self.failure)
        if sum(part is not None for part in parts) != 1:
            raise ValueError("an answer holds a result, capabilities, a volume, a run or a failure")
        return self


class WorkerInfo(Frozen):
    """A live worker: who it is and which weights it holds, None where it only plans."""

    worker_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
    model: ModelInfo | None = None


def read_job(text: str | bytes) -> Job:
    """Parse a job that came over the wire; raises MalformedMessage."""
    return _read(Job, text)


def read_answer(text: str | bytes) -> Answer:
    """Parse an answer that came over the wire; raises MalformedMessage."""
    return _read(Answer, text)


def _read(model: type[Message], text: str | bytes) -> Message:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        # The text holds a request: it must not travel on in a traceback.
        count, name = error.error_count(), model.__name__.lower()
        raise MalformedMessage(f"no {name} of version {SCHEMA_VERSION} ({count} errors)") from None


def to_failure(error: Exception) -> Failure:
    """Write a domain error down, of the agent's tree too."""
    field = getattr(error, "field", None)
    return Failure(error=type(error).__name__, message=str(error), field=field)


def to_error(failure: Failure) -> errors.SegmenterError:
    """Build the same error again; a class that is none of the segmenter becomes `JobFailed`."""
    kind = errors.error_class(failure.error, errors.SegmenterError) or errors.JobFailed
    if issubclass(kind, errors.InputError) and failure.field is not None:
        return kind(failure.message, field=failure.field)
    return kind(failure.message)


def failed(error: errors.SegmenterError) -> Answer:
    """Return the answer that says a job failed with `error`."""
    return Answer(failure=to_failure(error))
