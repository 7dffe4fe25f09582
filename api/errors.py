"""The one table of domain error -> HTTP status, and what can go wrong in HTTP itself.

ApiError
  MalformedBody              400  not readable as what it claims to be
    ClientLeft                    nobody is there to read the answer
  NotAuthenticated           401  no key, or not one of ours
  ForeignOrigin              403  a page of another site, or a name we do not answer to
  PictureNotFound            404  the run has no such mask or round
  BodyTooSlow                408  the body did not arrive in time
  KeyInUse                   409  the first request with this Idempotency-Key still runs
  PictureGone                410  the run is there, its image has expired
  BodyTooLarge               413  more bytes than the limit
  UnsupportedMediaType       415  neither multipart/form-data nor application/json
  InvalidFields              422  one or more fields, each with its path
  KeyReused                  422  the Idempotency-Key came with another payload before
  TooManyRequests            429  as many requests as allowed are being answered
  RunFailed                  502  or what its own cause has; the run is there to be read
  NotReady                   503  queue, worker or model is missing
  Stopping                   503  the process is about to end
"""

from dataclasses import dataclass


class ApiError(Exception):
    """Root of the tree."""


class MalformedBody(ApiError):
    """The body is not readable as what it claims to be."""


class ClientLeft(MalformedBody):
    """The client is gone: what it asked for is not worked on any more."""


class NotAuthenticated(ApiError):
    """There is no key, or not one of ours."""


class ForeignOrigin(ApiError):
    """The request comes from another site's page, or names a host that is not us."""


class PictureNotFound(ApiError):
    """The run has no such mask or round."""


class BodyTooSlow(ApiError):
    """The body did not arrive in time."""


class KeyInUse(ApiError):
    """The first request with this Idempotency-Key still runs."""


class PictureGone(ApiError):
    """The picture cannot be drawn any more: its image has expired."""


class BodyTooLarge(ApiError):
    """More bytes than the limit."""


class UnsupportedMediaType(ApiError):
    """The Content-Type is neither a form nor JSON."""


class KeyReused(ApiError):
    """The Idempotency-Key came with another payload before."""


class TooManyRequests(ApiError):
    """As many requests as allowed are being answered at the moment."""


class NotReady(ApiError):
    """Queue, worker or model is missing."""


class Stopping(ApiError):
    """The process is about to end; another one, or the next, can be asked."""


class RunFailed(ApiError):
    """A run ended without a result.

    Attributes:
        run_id: where what it saw can be read.
        cause: name of the domain error it ended with, or None.
    """

    def __init__(self, run_id: str, cause: str | None) -> None:
        super().__init__("the run failed")
        self.run_id = run_id
        self.cause = cause


@dataclass(frozen=True)
class FieldFault:
    """What is wrong with one field; never its value."""

    field: str
    message: str


class InvalidFields(ApiError):
    """One or more fields are wrong.

    Attributes:
        faults: the first of them, each with the path of its field.

    Args:
        count: how many there are, where they are more than the ones named.
    """

    def __init__(self, *faults: FieldFault, count: int | None = None) -> None:
        number = len(faults) if count is None else count
        some = f"; the first {len(faults)} are named" if number > len(faults) else ""
        super().__init__(f"{number} invalid field{'' if number == 1 else 's'}{some}")
        self.faults = faults
