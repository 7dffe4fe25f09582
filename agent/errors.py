"""What can go wrong in the agent, as one tree.

AgentError
  MllmError                  the MLLM step failed; the rules take over
    MllmUnavailable          no connection, timeout, 5xx, quota, refused key
    MllmReplyError           an answer that is no answer, even after one repair
    MllmRefused              blocked or refused by the provider
    PictureWithheld          the picture may show a name and is not sent
  EgressForbidden            an outside MLLM is configured but data may not leave
  PlannerNotConfigured       the request names a planner that is not set up
  ThreadNotFound             never existed, expired, or erased
  RunNotFound                never existed or expired
  ThreadBusy                 another run of this thread is still going
  TurnNotCome                another run of the thread is going, and nobody waits here longer
  RunCancelled               somebody stopped the run
  RecordingGap               a replay asks what the run's record does not hold
  InvalidRequest             the request cannot be met as it stands (field named)
"""

from agent.schemas.rounds import Usage


class AgentError(Exception):
    """Root of the tree."""


class MllmError(AgentError):
    """One step of the MLLM failed.

    Attributes:
        reason: why, in a few words of ours that may stand in an answer and in a log: never what a
            model, a server or a caller wrote.
        usage: what the failed step cost all the same.
    """

    def __init__(self, message: str = "", *, reason: str = "", usage: Usage | None = None) -> None:
        super().__init__(message or reason)
        self.reason = reason
        self.usage = usage or Usage()


class MllmUnavailable(MllmError):
    """The server did not answer usefully: connection, deadline, status."""


class MllmReplyError(MllmError):
    """The answer does not hold what was asked for, even after one repair."""


class MllmRefused(MllmError):
    """The provider blocked the prompt or the model refused."""


class PictureWithheld(MllmError):
    """The picture may show who the patient is; it was not sent."""


class EgressForbidden(AgentError):
    """The setting does not allow data to leave for this MLLM."""


class PlannerNotConfigured(AgentError):
    """The planner that was asked for has no model or key."""


class ThreadNotFound(AgentError):
    """No such thread: never there, expired, or erased."""


class RunNotFound(AgentError):
    """No such run: never there, or expired."""


class ThreadBusy(AgentError):
    """Another run of the same thread has not ended yet."""


class TurnNotCome(AgentError):
    """A run that waits for its thread has not got it yet; it can be carried out later."""


class RunCancelled(AgentError):
    """Somebody stopped the run before it had ended."""


class RecordingGap(AgentError):
    """A replay came to a question that the run's record does not answer."""


class InvalidRequest(AgentError):
    """The request cannot be met as it stands.

    Attributes:
        field: name of the offending field.
    """

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field
