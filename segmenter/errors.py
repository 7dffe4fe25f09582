"""What can go wrong in the segmenter, as one tree.

    SegmenterError
      InputError                 the caller can repair it
        UnsupportedImage         not a format that is read here
        BrokenImage              a known format that does not decode
        ImageTooLarge            over the byte or pixel limit
        MixedFiles               sound files that do not make one sequence
        InvalidPrompt            a prompt field out of its range
      ImageNotFound              never stored, or expired
      VolumeNotFound             the same of a volume job, or of a part of it
      VolumeNotDone              the job has no result yet, or will never have one
      QueueFull                  nothing was stored, try later
      StoreFull                  nothing was stored: what others work on leaves no room
      MemoryBusy                 others use the memory it needs, try later
      NoWorker                   nobody is there to do it
        NoAgentWorker            the same of an agent run
      TransportDown              the broker does not answer
        BrokerRefusal            it answers, and refuses
          BrokerDenied           the login
          BrokerReadOnly         all writes
          BrokerFull             whatever needs memory
      DeadlineExceeded           the caller's time is up
      JobCancelled               the caller gave up
      JobFailed                  the model failed, or every attempt died

Messages say what, which value and which limit; they never hold pixels, requests or file names.
"""

from typing import TypeVar

Tree = TypeVar("Tree", bound=Exception)


class SegmenterError(Exception):
    """Root of the tree."""


class InputError(SegmenterError):
    """The caller sent something that cannot be used.

    Attributes:
        field: name of the offending field, as the caller knows it.
    """

    def __init__(self, message: str, *, field: str = "image") -> None:
        super().__init__(message)
        self.field = field


class UnsupportedImage(InputError):
    """The bytes are not of a format that is read here."""


class BrokenImage(InputError):
    """The bytes claim a known format but do not decode."""


class ImageTooLarge(InputError):
    """The image is over the byte or pixel limit."""


class MixedFiles(InputError):
    """The files are read here, but are not the frames of one sequence."""


class InvalidPrompt(InputError):
    """A prompt cannot be put to the model."""


class ImageNotFound(SegmenterError):
    """The image was never stored here, or has expired."""


class VolumeNotFound(SegmenterError):
    """The volume job, or the part of it that is asked for, never was or has expired."""


class VolumeNotDone(SegmenterError):
    """The volume job has no result: it has not ended, or not well."""


class QueueFull(SegmenterError):
    """The queue is at its bound; nothing was stored.

    Attributes:
        retry_after_s: seconds after which a retry has a chance.
    """

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreFull(SegmenterError):
    """What is being worked on takes all the room of a store; nothing was stored."""


class MemoryBusy(SegmenterError):
    """Others kept the memory that this needs for too long; nothing was begun."""


class NoWorker(SegmenterError):
    """No live worker answers."""


class NoAgentWorker(NoWorker):
    """No live process carries agent runs out."""


class TransportDown(SegmenterError):
    """The broker cannot be reached."""


class BrokerRefusal(TransportDown):
    """The broker answers, and refuses; the message says what to do."""


class BrokerDenied(BrokerRefusal):
    """The broker refuses the login, or this user lacks a permission."""


class BrokerReadOnly(BrokerRefusal):
    """The broker takes no writes."""


class BrokerFull(BrokerRefusal):
    """The broker's memory is used up."""


class DeadlineExceeded(SegmenterError):
    """The caller's deadline passed before a result came."""


class JobCancelled(SegmenterError):
    """The job was cancelled before it finished."""


class JobFailed(SegmenterError):
    """The model failed on this job, or every attempt to run it died."""


# What may be otherwise in a moment: no end of a job, and no answer that is kept.
TEMPORARY = (MemoryBusy, NoWorker, QueueFull, TransportDown)


def error_class(name: str, root: type[Tree]) -> type[Tree] | None:
    """Return the class that has a name in an error tree, None if none of the tree has it.

    Args:
        name: as it was written down, perhaps by another version.
        root: of the tree: `SegmenterError`, `agent.errors.AgentError`, or a branch of one.
    """
    if root.__name__ == name:
        return root
    found = (error_class(name, branch) for branch in root.__subclasses__())
    return next((kind for kind in found if kind is not None), None)
