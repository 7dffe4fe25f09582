"""Entries of Redis streams: any shape redis-py answers with, and what foreign writers put there."""

from dataclasses import dataclass
from typing import cast

from segmenter.queue.messages import Job, MalformedMessage, read_job

# An id is 32 hex digits; a poisoned entry may hold anything.
_HEX = frozenset("0123456789abcdef")
_ID_CHARS = 32


@dataclass(frozen=True)
class Entry:
    """An entry of the job stream; a job or caller id that is not valid is empty."""

    id: str
    job_id: str
    caller_id: str
    body: str


def read_entries(reply: object) -> list[tuple[str, dict[str, bytes]]]:
    """Bring any answer of a one-stream read or claim into (entry id, fields) pairs.

    Args:
        reply: None, a mapping or a list of (stream, entries), or the entries themselves.
    """
    if isinstance(reply, dict):
        reply = list(reply.items())
    rows = cast("list[tuple[object, object]]", reply or [])
    if rows and isinstance(rows[0][1], list):
        rows = cast("list[tuple[object, object]]", rows[0][1])
    if rows and rows[0] and isinstance(rows[0][0], tuple):
        # RESP3 read with redis-py's older answers wraps the entries once more.
        rows = cast("list[tuple[object, object]]", rows[0])
    # Redis 6.2 answers claims of deleted entries with nothing in their place.
    return [(_text(row[0]), _fields(row[1])) for row in rows if row and row[0] is not None]


def to_entry(entry_id: str, fields: dict[str, bytes]) -> Entry:
    """Read the fields of an entry, whatever they are."""
    text = {name: value.decode("utf-8", "replace") for name, value in fields.items()}
    job_id, caller_id = _hex(text.get("id", "")), _hex(text.get("caller", ""))
    return Entry(entry_id, job_id, caller_id, text.get("body", ""))


def checked_job(entry: Entry) -> Job:
    """Return the job of an entry.

    Raises:
        MalformedMessage: no job of this version, or another one than the entry says.
    """
    job = read_job(entry.body)
    if job.id != entry.job_id or not entry.caller_id:
        raise MalformedMessage("the entry's ids do not match its job")
    return job


def _hex(text: str) -> str:
    return text if len(text) == _ID_CHARS and _HEX.issuperset(text) else ""


def _fields(raw: object) -> dict[str, bytes]:
    pairs = cast("dict[bytes, bytes]", raw or {})
    return {_text(name): value for name, value in pairs.items()}


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
