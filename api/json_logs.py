"""Logs as JSON lines on stderr: a constant message and its facts, never contents."""

import json
import logging
import traceback
from datetime import UTC, datetime
from types import TracebackType

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonLines(logging.Formatter):
    """One JSON object per record; an exception gives its class and place, not its words."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record down."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info is not None and record.exc_info[0] is not None:
            kind, _, place = record.exc_info
            line |= {"exception": kind.__name__, "frames": _frames(place)}
        return json.dumps(line, default=str)


def set_up_logs(level: int = logging.INFO) -> None:
    """Send all logs through `JsonLines`."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Logs each request's URL at INFO, provider hosts and model names included; the audit has them.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _frames(place: TracebackType | None) -> list[str]:
    """Return where it happened, without source lines or values."""
    return [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(place)]
