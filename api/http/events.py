"""The steps of a run as server-sent events, from any process, with resume."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

from agent.runs.events import TERMINAL
from agent.schemas.runs import RunEvent
from agent.service import AgentService

POLL_S = 0.2
HEARTBEAT_S = 15.0
HEARTBEAT = ": still there\n\n"
# Proxies would hold events back.
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def stream(
    agent: AgentService, run_id: str, *, after: int, lifetime_s: float
) -> AsyncIterator[str]:
    """Yield events beyond number `after` as they come, until the terminal one.

    A run whose process died has none; after `lifetime_s` the stream says that it failed.
    """
    deadline = time.monotonic() + lifetime_s
    spoken = time.monotonic()
    while True:
        events = await agent.events(run_id)
        for number, event in enumerate(events, start=1):
            if number > after:
                yield to_text(number, event)
                after, spoken = number, time.monotonic()
        if events and events[-1].name in TERMINAL:
            return
        if time.monotonic() > deadline:
            lost = RunEvent(name="run.failed", run_id=run_id, facts={"error": "lost"})
            yield to_text(after + 1, lost)
            return
        if time.monotonic() - spoken > HEARTBEAT_S:
            yield HEARTBEAT
            spoken = time.monotonic()
        await asyncio.sleep(POLL_S)


def to_text(number: int, event: RunEvent) -> str:
    """Write one event: its number as id, its name, its facts as JSON."""
    data = {"run_id": event.run_id, "round": event.number, **event.facts}
    return f"id: {number}\nevent: {event.name}\ndata: {json.dumps(data)}\n\n"
