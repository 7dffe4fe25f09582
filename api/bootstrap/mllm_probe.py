"""Asks an MLLM one tiny question, without any picture, to see that it answers."""

import time
from typing import NamedTuple

from agent.errors import MllmError
from agent.mllm.contract import Mllm
from agent.mllm.json.misfit import Misfit

# A local model that is loaded at its first question takes so long; a person waits no longer.
PROBE_TIMEOUT_S = 30.0
SYSTEM = "You are asked once, to see that you answer. Write JSON alone."
TEXT = 'Write {"ready": true}.'
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"ready": {"type": "boolean"}},
    "required": ["ready"],
    "additionalProperties": False,
}


class Probed(NamedTuple):
    """What came back.

    Attributes:
        answers: whether it was an answer.
        words: ours alone: no word of a model or server, and no key.
    """

    answers: bool
    words: str


async def probe(mllm: Mllm, *, timeout_s: float = PROBE_TIMEOUT_S) -> Probed:
    """Ask once, within a time."""
    started = time.monotonic()
    try:
        answer = await mllm.ask(
            system=SYSTEM, text=TEXT, pictures=(), schema=SCHEMA, read=_read, timeout_s=timeout_s
        )
    except MllmError as error:
        return Probed(False, f"does not answer: {error}")
    seconds, usage = time.monotonic() - started, answer.usage
    tokens = f"{usage.input_tokens} tokens read, {usage.output_tokens} written"
    return Probed(True, f"answers a question of one line in {seconds:.1f} s ({tokens})")


def _read(value: object) -> bool:
    if not isinstance(value, dict) or "ready" not in value:
        raise Misfit("ready", "is needed", is_other=True)
    if not isinstance(value["ready"], bool):
        raise Misfit("ready", "must be true or false")
    return value["ready"]
