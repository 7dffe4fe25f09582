"""Long work, agent runs and volume jobs alike, as its watchers see it."""

from typing import Literal

from pydantic import Field

from segmenter.contract.images import Frozen

JobState = Literal["queued", "running", "done", "failed", "cancelled"]


class Failure(Frozen):
    """A domain error on its way to the caller.

    Attributes:
        error: name of its class.
        field: the offending field of an input error.
    """

    error: str
    message: str
    field: str | None = None


class JobEvent(Frozen):
    """A step of a job, for whoever watches it; never pixels or requests.

    Attributes:
        name: as in the HTTP interface, for example ``volume.progress``.
        number: what it counts: the round of a run, the frames that are done of a volume.
        state: of the job, from here on.
        facts: small numbers and words, for example how many masks a round gave.
        failure: why the job ended without a result.
    """

    name: str
    number: int = 0
    state: JobState = "running"
    facts: dict[str, str | int | float] = Field(default_factory=dict)
    failure: Failure | None = None

    @property
    def is_end(self) -> bool:
        """Tell whether the job has ended with it."""
        return self.state not in ("queued", "running")
