"""Carries one run out in processes that are killed: each dies before its second step is kept.

Started by `test_resume` with the URLs of Redis, checkpoints and model, a prefix and the number of
lives. A life is a fork, so that the packages are imported once. The last one lives on.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from pydantic import SecretStr

from agent.loop.checkpoints import open_checkpoints
from agent.loop.context import RunContext
from agent.mllm.factory import build_mllm
from agent.planners.mllm import MllmPlanner
from agent.queued import QueuedAgent
from agent.runs.worker import RunWorker
from agent.service import AgentContext
from agent.settings import AgentSettings
from segmenter.formats.limits import Limits
from segmenter.services import decoder, open_redis, open_runs
from segmenter.settings import QueueSettings, SegmenterSettings

RUN_TIMEOUT_S = 120.0


def settings(prefix: str) -> SegmenterSettings:
    """Leases of a second, and more attempts than there are steps."""
    queue = QueueSettings(prefix=prefix, lease_s=3.0, max_attempts=30, poll_s=0.2)
    return SegmenterSettings(queue=queue)


def die_early() -> None:
    """Kill this process when the second step has been taken and nobody knows of it yet."""
    kept = RunContext.keep
    calls = 0

    async def keep(run_context: RunContext, steps: int) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return await kept(run_context, steps)

    RunContext.keep = keep  # type: ignore[method-assign]


async def live(redis: str, state: str, model: str, prefix: str, marks: Path) -> None:
    asked = settings(prefix)
    runs = asked.for_runs(RUN_TIMEOUT_S)
    mllm = build_mllm("openai", model="m", api_key=SecretStr("k"), base_url=model, retries=0)
    async with (
        open_redis(redis, decoder(Limits()), asked) as services,
        open_runs(redis, runs, f"life-{os.getpid()}") as queue,
        open_checkpoints(None if state == "none" else state) as checkpoints,
    ):
        context = AgentContext(
            segmenter=services.segmenter,
            images=services.images,
            records=services.records,
            planners={"openai": MllmPlanner(mllm)},
            default_planner="openai",
            settings=AgentSettings(run_timeout_s=RUN_TIMEOUT_S),
            checkpoints=checkpoints,
        )
        agent = QueuedAgent(context, queue.caller)
        worker = RunWorker(
            queue.worker, agent.carry, worker_id=f"life-{os.getpid()}", slots=2, poll_s=0.2
        )
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        (marks / str(os.getpid())).touch()
        await worker.run(stop)


def main() -> None:
    redis, state, model, prefix, lives, marks = sys.argv[1:]
    deaths = 0
    while deaths < int(lives):
        child = os.fork()
        if child == 0:
            die_early()
            asyncio.run(live(redis, state, model, prefix, Path(marks)))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            break
        deaths += 1
        (Path(marks) / f"death-{deaths}").touch()
    asyncio.run(live(redis, state, model, prefix, Path(marks)))


if __name__ == "__main__":
    main()
