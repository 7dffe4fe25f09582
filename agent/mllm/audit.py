"""One log line per outbound call: where to, what (as digests), what it cost, how it ended."""

import hashlib
import logging
from collections.abc import Sequence

from agent.mllm.contract import Picture
from agent.schemas.rounds import Usage

logger = logging.getLogger(__name__)


def log_call(
    *,
    host: str,
    model: str,
    prompt: str,
    pictures: Sequence[Picture],
    usage: Usage,
    outcome: str,
    reason: str,
    seconds: float,
) -> None:
    """Write the audit line; contents appear as SHA-256 and size only.

    The outcome is ``answered``, ``cancelled``, or the name of the error, whose reason follows in
    words of ours.
    """
    logger.info(
        "mllm call",
        extra={
            "host": host,
            "model": model,
            "prompt_sha256": hashlib.sha256(prompt.encode("utf-8", "replace")).hexdigest(),
            "prompt_chars": len(prompt),
            "images": [
                {"sha256": hashlib.sha256(picture.png).hexdigest(), "bytes": len(picture.png)}
                for picture in pictures
            ],
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "outcome": outcome,
            "reason": reason,
            "seconds": round(seconds, 3),
        },
    )
