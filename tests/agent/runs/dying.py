"""Carries one run out in processes that are killed: each dies when it has kept one more answer.

Started by `test_resume` with the URLs of Redis and model, a prefix and the number of lives. A life
is a fork, so that the packages are imported once. The last one lives on.
"""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from agent.mllm.factory import build_mllm
from agent.planners.mllm import MllmPlanner
from agent.queued import QueuedAgent
from agent.runs.worker import RunWorker
from agent.service import AgentContext
from agent.settings import AgentSettings
from segmenter.formats.limits import Limits
from segmenter.services import accept_in, decoder, open_redis, open_runs
from segmenter.settings import QueueSettings, SegmenterSettings
from tests.agent.runs.watched import WatchedRecords

RUN_TIMEOUT_S = 120.0


def settings(prefix: str) -> SegmenterSettings:
    """Leases of seconds; the run dies more often than a run may that comes no further."""
    queue = QueueSettings(prefix=prefix, lease_s=3.0, max_attempts=2, poll_s=0.2)
    return SegmenterSettings(queue=queue)


async def die_with(key: str) -> None:
    """Kill this process when it has kept an answer, or the record of the run."""
    if ":line:" in key or key.startswith("run:"):
        os.kill(os.getpid(), signal.SIGKILL)


async def live(redis: str, model: str, prefix: str, marks: Path, *, dies: bool) -> None:
    asked = settings(prefix)
    runs = asked.for_runs(RUN_TIMEOUT_S)
    mllm = build_mllm("openai", model="m", api_key=SecretStr("k"), base_url=model, retries=0)
    async with (
        open_redis(redis, decoder(Limits()), asked) as services,
        open_runs(redis, runs, f"life-{os.getpid()}") as queue,
    ):
        context = AgentContext(
            segmenter=services.segmenter,
            images=services.images,
            records=WatchedRecords(services.records, die_with) if dies else services.records,
            planners={"openai": MllmPlanner(mllm)},
            default_planner="openai",
            settings=AgentSettings(run_timeout_s=RUN_TIMEOUT_S),
            # A record that is written again is the same.
            clock=lambda: 0.0,
            now=lambda: datetime.fromtimestamp(0, UTC),
        )
        agent = QueuedAgent(context, queue.caller, accept_in(queue.caller, services.records))
        worker = RunWorker(
            queue.worker, agent.carry, worker_id=f"life-{os.getpid()}", slots=2, poll_s=0.2
        )
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        (marks / str(os.getpid())).touch()
        await worker.run(stop)


def main() -> None:
    redis, model, prefix, lives, marks = sys.argv[1:]
    deaths = 0
    while deaths < int(lives):
        child = os.fork()
        if child == 0:
            asyncio.run(live(redis, model, prefix, Path(marks), dies=True))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            break
        deaths += 1
        (Path(marks) / f"death-{deaths}").touch()
    asyncio.run(live(redis, model, prefix, Path(marks), dies=False))


if __name__ == "__main__":
    main()
