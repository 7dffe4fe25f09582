"""Which HTTP status and kind of problem stands for which error."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from agent import errors as agent
from api import errors
from segmenter import errors as segmenter
from segmenter.errors import error_class

# Long enough for a worker to be restarted, short enough for a person to wait.
RETRY_AFTER_S = 5.0
# What brings back who is missing; without Redis a service has both inside.
START_WORKER = "medsam3 worker (without Redis: start the service again)"
START_AGENT = "medsam3 agent-worker, or medsam3 serve with MEDSAM3_RUN_SLOTS above 0"
TYPE_PREFIX = "urn:medsam3:problem:"


@dataclass(frozen=True)
class Kind:
    """A kind of problem as clients see it.

    Attributes:
        slug: last part of the ``type`` URI; never changes.
        detail: what is said instead of the error's own message, which may hold internals.
        retry: whether the same request has a chance later.
    """

    slug: str
    status: int
    title: str
    detail: str | None = None
    retry: bool = False


# What a run may have as the kind of its failure when somebody stopped it.
CANCELLED = ("cancelled", "JobCancelled")
INTERNAL = Kind("internal", 500, "Internal error", "The service failed; see its log")
KINDS: Mapping[type[Exception], Kind] = {
    errors.MalformedBody: Kind("malformed-body", 400, "The body cannot be read"),
    errors.NotAuthenticated: Kind("not-authenticated", 401, "A valid API key is needed"),
    errors.ForeignOrigin: Kind("foreign-origin", 403, "Not allowed from there"),
    agent.EgressForbidden: Kind(
        "egress-forbidden", 403, "Data may not leave", "MEDSAM3_EGRESS does not allow this planner"
    ),
    errors.PictureNotFound: Kind("picture-not-found", 404, "No such picture"),
    segmenter.ImageNotFound: Kind(
        "image-not-found", 404, "No such image", "It was never stored here, or has expired"
    ),
    segmenter.VolumeNotFound: Kind(
        "volume-not-found", 404, "No such volume", "It never existed here, or has expired"
    ),
    agent.RunNotFound: Kind(
        "run-not-found", 404, "No such run", "It never existed here, or has expired"
    ),
    agent.ThreadNotFound: Kind(
        "thread-not-found",
        404,
        "No such thread",
        "It never existed here, has expired, or is erased",
    ),
    errors.BodyTooSlow: Kind("body-too-slow", 408, "The body did not arrive", retry=True),
    errors.KeyInUse: Kind(
        "idempotency-key-in-use", 409, "The first request still runs", retry=True
    ),
    agent.ThreadBusy: Kind(
        "thread-busy", 409, "The thread is busy", "Another run of it has not ended yet", retry=True
    ),
    agent.RunCancelled: Kind("run-cancelled", 409, "The run was cancelled"),
    segmenter.VolumeNotDone: Kind("volume-not-done", 409, "The volume is not done"),
    segmenter.JobCancelled: Kind("job-cancelled", 409, "The job was cancelled"),
    errors.PictureGone: Kind("picture-gone", 410, "The picture is gone"),
    errors.BodyTooLarge: Kind("body-too-large", 413, "The body is too large"),
    segmenter.ImageTooLarge: Kind("image-too-large", 413, "The image is too large"),
    errors.UnsupportedMediaType: Kind("unsupported-media-type", 415, "Unsupported media type"),
    segmenter.UnsupportedImage: Kind("unsupported-image", 415, "Not an image that is read here"),
    segmenter.BrokenImage: Kind("broken-image", 422, "The image does not decode"),
    segmenter.InputError: Kind("invalid-field", 422, "A field is invalid"),
    agent.InvalidRequest: Kind("invalid-field", 422, "A field is invalid"),
    agent.PlannerNotConfigured: Kind(
        "planner-not-configured", 422, "The planner is not set up", "See planners in /capabilities"
    ),
    errors.InvalidFields: Kind("invalid-field", 422, "A field is invalid"),
    errors.KeyReused: Kind("idempotency-key-reused", 422, "The Idempotency-Key is taken"),
    errors.TooManyRequests: Kind("too-many-requests", 429, "Too many requests at once", retry=True),
    errors.RunFailed: Kind("run-failed", 502, "The run failed", "Nothing can be said of the image"),
    segmenter.JobFailed: Kind(
        "model-failed", 502, "The model failed", "Nothing can be said of the image"
    ),
    segmenter.MemoryBusy: Kind("memory-busy", 429, "No memory for it now", retry=True),
    agent.MllmError: Kind("mllm-failed", 502, "The MLLM failed", "It gave no usable answer"),
    errors.NotReady: Kind("not-ready", 503, "Not ready", retry=True),
    errors.Stopping: Kind(
        "stopping", 503, "The service is stopping", "Ask another process, or again", retry=True
    ),
    segmenter.QueueFull: Kind(
        "queue-full", 503, "The queue is full", "Try again later", retry=True
    ),
    segmenter.StoreFull: Kind(
        "store-full",
        503,
        "No room for another image",
        "Images that are worked on take all the room; try again when some of it is done",
        retry=True,
    ),
    segmenter.NoAgentWorker: Kind(
        "no-worker", 503, "No agent worker is running", f"Start one: {START_AGENT}", retry=True
    ),
    segmenter.NoWorker: Kind(
        "no-worker", 503, "No worker is running", f"Start one: {START_WORKER}", retry=True
    ),
    segmenter.BrokerDenied: Kind(
        "queue-login-refused",
        503,
        "Redis refuses the login",
        "Set user and password, and what they may do, as in MEDSAM3_REDIS_URL",
    ),
    segmenter.BrokerReadOnly: Kind(
        "queue-read-only",
        503,
        "Redis takes no writes",
        "It is a replica, misses replicas, or cannot write to its disk; see MEDSAM3_REDIS_URL",
        retry=True,
    ),
    segmenter.BrokerFull: Kind(
        "queue-out-of-memory",
        503,
        "Redis is full",
        "Raise its maxmemory, or wait until what it keeps expires",
        retry=True,
    ),
    segmenter.TransportDown: Kind(
        "queue-unreachable", 503, "The queue cannot be reached", "Redis does not answer", retry=True
    ),
    segmenter.DeadlineExceeded: Kind(
        "deadline-exceeded", 504, "No result in time", "The deadline passed before an answer came"
    ),
}


# What the framework itself refuses, by status.
FRAMEWORK_KINDS: Mapping[int, Kind] = {
    400: KINDS[errors.MalformedBody],
    404: Kind("route-not-found", 404, "No such route", "See /openapi.json"),
    405: Kind("method-not-allowed", 405, "Method not allowed", "See the Allow header"),
}


def kind_of(error: Exception) -> Kind:
    """Look an error up, nearest class first; anything unknown is internal."""
    if isinstance(error, errors.RunFailed) and error.cause is not None:
        cause = "RunCancelled" if error.cause in CANCELLED else error.cause
        return kind_named(cause) or KINDS[errors.RunFailed]
    return _nearest(type(error)) or INTERNAL


def kind_named(name: str) -> Kind | None:
    """Look up an error that is known by name only; None if it has no kind."""
    cause: type[Exception] | None = error_class(name, segmenter.SegmenterError)
    cause = cause or error_class(name, agent.AgentError)
    return None if cause is None else _nearest(cause)


def _nearest(error: type[Exception]) -> Kind | None:
    return next((KINDS[base] for base in error.__mro__ if base in KINDS), None)


def faults_of(error: Exception) -> tuple[errors.FieldFault, ...]:
    """Return the offending fields an error names."""
    if isinstance(error, errors.InvalidFields):
        return error.faults
    if isinstance(error, segmenter.InputError | agent.InvalidRequest):
        # The segmenter writes prompts.0.boxes.1, we write prompts[0].boxes[1].
        return (errors.FieldFault(re.sub(r"\.(\d+)", r"[\1]", error.field), str(error)),)
    if isinstance(error, agent.PlannerNotConfigured):
        return (errors.FieldFault("planner", "not configured"),)
    return ()


def retry_after_s(error: Exception, kind: Kind) -> int | None:
    """Return whole seconds for ``Retry-After``, or None where a retry is no use."""
    if not kind.retry:
        return None
    wait_s = error.retry_after_s if isinstance(error, segmenter.QueueFull) else RETRY_AFTER_S
    return max(1, math.ceil(wait_s))
