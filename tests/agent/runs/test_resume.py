"""A run whose process dies is gone on with: same result, nothing paid for twice."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Literal

import pytest

from agent.errors import MllmReplyError
from agent.planners.mllm import MllmPlanner
from agent.queued import QueuedAgent
from agent.runs.replay import Recording, differences, replay
from agent.runs.threads import new_run_id
from agent.schemas.plan import Call
from agent.schemas.rounds import Inspection, Status, Usage
from agent.schemas.runs import AgentRequest, RunRecord
from agent.service import AgentContext, AgentService
from agent.settings import AgentSettings
from segmenter.backends.compact.backend import CompactBackend
from segmenter.contract import RecordStore
from segmenter.errors import NoWorker
from segmenter.formats.decode import decode
from segmenter.formats.limits import Limits
from segmenter.masks.rle import decode as unpack
from segmenter.queue.records import JobStore
from segmenter.services import accept_in, decoder, open_redis, open_runs, run_worker
from segmenter.storage.contract import Bounds
from segmenter.storage.database import open_database
from segmenter.storage.memory import MemoryStore
from segmenter.storage.redis import RedisStore, open_store_client
from segmenter.storage.sql import SqlStore
from tests.agent.doubles import (
    Clock,
    MemoryImages,
    MemoryRecords,
    ScriptedPlanner,
    ScriptedSegmenter,
    World,
    found,
    image_ref,
    judging,
    picture,
    plan_for,
    request,
    square,
    target,
)
from tests.agent.loopback import Received, Step, loopback, says
from tests.agent.plan_replies import PlansByModel, SaysMllm
from tests.agent.runs.dying import RUN_TIMEOUT_S, settings
from tests.agent.runs.watched import WatchedRecords
from tests.paths import ROOT, SAMPLES
from tests.redis_server import RedisServer

IMAGE = (SAMPLES / "busi_tumor.jpg").read_bytes()
# Eleven events, eight answers (of the tool: what it can do, two rounds; of the planner: a plan, two
# looks, two comparisons), the thread as it was, the run and its thread.
WRITES = 22
# Six answers, and the record of the run.
DEATHS = 7
EPOCH = datetime.fromtimestamp(0, UTC)
OpenRecords = Callable[[], AbstractAsyncContextManager[RecordStore]]


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


def context_of(on: World, records: RecordStore, now: datetime = EPOCH) -> AgentContext:
    assert on.planner is not None
    return AgentContext(
        segmenter=on.segmenter,
        images=on.images,
        records=records,
        planners={"gemini": on.planner},
        default_planner="gemini",
        # A record that is written again is the same.
        clock=Clock(),
        now=lambda: now,
    )


def service(on: World, records: RecordStore, now: datetime = EPOCH) -> AgentService:
    return AgentService(context_of(on, records, now))


def world() -> World:
    answers = {"polyp": found(square(20, 20, 40, 40)), "lesion": found(square(16, 16, 44, 44))}
    return World(ScriptedSegmenter(answers), planner(), pixels=picture())


async def carry_out(
    on: World, records: RecordStore, run_id: str, *, writes: int
) -> RunRecord | None:
    """Carry a run out until it has written so often; None if it was stopped there."""
    return await stopped(context_of(on, records), run_id, writes=writes)


async def stopped(context: AgentContext, run_id: str, *, writes: int) -> RunRecord | None:
    """As `carry_out`, of any agent."""

    async def kept(key: str) -> None:
        nonlocal writes
        writes -= 1
        if writes == 0:
            # As a hand-back does it: the task is cancelled, and nothing is recorded.
            task.cancel()
            await asyncio.sleep(60.0)

    agent = AgentService(replace(context, records=WatchedRecords(context.records, kept)))
    task = asyncio.create_task(agent.carrier.carry_out(run_id))
    try:
        return await task
    except asyncio.CancelledError:
        return None


async def through_stops(
    on: World, open_records: OpenRecords, stops: Iterable[int]
) -> tuple[RunRecord, int]:
    """Carry a run out, stopped after its n-th write for each n; count the stops."""
    run_id = new_run_id()
    async with open_records() as records:
        await service(on, records).begin(request(), run_id)
    for count, writes in enumerate(stops):
        async with open_records() as records:
            run = await carry_out(on, records, run_id, writes=writes)
        if run is not None:
            return run, count
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


@pytest.fixture(params=["memory", "sqlite", "postgres", "redis"])
def open_records(request: pytest.FixtureRequest, tmp_path: Path, prefix: str) -> OpenRecords:
    """Open the same records again, as another process would, in every kind of store."""
    bounds = Bounds(64 * 2**20, 16 * 2**20)
    memory = MemoryStore(max_bytes=bounds.max_bytes, max_item_bytes=bounds.max_item_bytes)

    @asynccontextmanager
    async def in_database(url: str) -> AsyncIterator[RecordStore]:
        async with open_database(url, alone=True) as database:
            yield SqlStore(database, "records", bounds)

    @asynccontextmanager
    async def on_redis() -> AsyncIterator[RecordStore]:
        async with open_store_client(request.getfixturevalue("redis_server").url) as client:
            yield RedisStore(client, prefix, "records", bounds)

    if request.param == "postgres":
        return partial(in_database, request.getfixturevalue("postgres"))
    return {
        "memory": lambda: nullcontext(memory),
        "sqlite": partial(in_database, f"sqlite:///{tmp_path}/records.db"),
        "redis": on_redis,
    }[request.param]


def check_paid_once(on: World, run: RunRecord) -> None:
    """The run is as if nothing had happened, and nobody was asked anything twice."""
    before = plain()
    assert run.status is before.status is Status.FOUND
    assert shown(run) == shown(before)
    assert [one.wins for one in run.rounds] == [one.wins for one in before.rounds]
    assert run.provenance.usage == before.provenance.usage
    assert on.planner is not None
    assert (len(on.planner.questions), len(on.planner.looks)) == (1, 2)
    assert len(on.planner.compared) == 2
    assert len(on.segmenter.requests) == 2


def test_a_run_stopped_after_every_write_goes_on_and_pays_nothing_twice(
    open_records: OpenRecords,
) -> None:
    on = world()
    run, stops = asyncio.run(through_stops(on, open_records, repeat(1)))
    check_paid_once(on, run)
    assert stops == WRITES


@pytest.mark.parametrize("write", range(1, WRITES + 1))
def test_a_run_stopped_after_any_one_write_goes_on_and_pays_nothing_twice(write: int) -> None:
    on = world()
    run, _ = asyncio.run(through_stops(on, lambda: nullcontext(on.records), [write, 0]))
    check_paid_once(on, run)


async def by_plan(write: int | None) -> tuple[RunRecord, int]:
    """Return a follow-up that a model understands, and how often it was asked for its plan.

    Args:
        write: after which the run is stopped and gone on with; None for no stop.
    """
    answer = {
        "decision": "unclear",
        "operations": [{"act": "drop", "words": "obliterate m2", "masks": ["m2"]}],
        "questions": [{"topic": "count", "words": "whaddya count", "targets": ["polyp"]}],
    }
    model = SaysMllm(answer)
    polyps = {"polyp": found(square(10, 10, 40, 40), square(48, 48, 58, 58))}
    context = AgentContext(
        segmenter=ScriptedSegmenter(polyps),
        images=MemoryImages(picture()),
        records=MemoryRecords(),
        planners={"gemini": PlansByModel(MllmPlanner(model))},
        clock=Clock(),
        now=lambda: EPOCH,
    )
    first = await AgentService(context).run(request("outline the polyp", planner="rules"))
    asking = request(
        "obliterate m2, zonk, whaddya count",
        planner="gemini",
        thread_id=first.thread_id,
        image=None,
    )
    run_id = new_run_id()
    await AgentService(context).begin(asking, run_id)
    run = await stopped(context, run_id, writes=write or 0)
    if run is None:
        run = await AgentService(context).carrier.carry_out(run_id)
    return run, len(model.asked)


def test_operations_of_a_plan_are_carried_out_once_wherever_the_run_was_stopped() -> None:
    plain_run, _ = asyncio.run(by_plan(None))
    assert [mask.candidate.id for mask in plain_run.targets[0].masks] == ["m1"]
    assert plain_run.not_understood == ("zonk",)
    assert plain_run.answer
    for write in range(1, 8):
        run, asked = asyncio.run(by_plan(write))
        assert asked == 1
        assert shown(run) == shown(plain_run)
        assert (run.status, run.message, run.answer, run.intent) == (
            plain_run.status,
            plain_run.message,
            plain_run.answer,
            plain_run.intent,
        )


def test_time_in_which_nobody_carried_a_run_out_is_not_its_own() -> None:
    async def scenario() -> RunRecord:
        on, run_id = world(), new_run_id()
        await service(on, on.records).begin(request(max_seconds=30.0), run_id)
        # Half of it is done; then all processes are down for an hour.
        assert await carry_out(on, on.records, run_id, writes=11) is None
        later = service(on, on.records, now=datetime.fromtimestamp(3600.0, UTC))
        return await later.carrier.carry_out(run_id)

    run = asyncio.run(scenario())
    assert run.status is Status.FOUND
    assert run.provenance.seconds < 30.0


def test_nothing_is_left_of_a_run_that_would_be_gone_on_with() -> None:
    on = world()
    run, _ = asyncio.run(through_stops(on, lambda: nullcontext(on.records), [4, 0]))
    kept = [key for key in on.records.records if not key.startswith(("log:", f"job:{run.id}:"))]
    assert sorted(kept) == sorted([f"run:{run.id}", f"thread:{run.thread_id}"])


def test_the_events_of_a_run_taken_over_are_told_once() -> None:
    async def events() -> list[str]:
        on = world()
        run, _ = await through_stops(on, lambda: nullcontext(on.records), repeat(1))
        kept = await JobStore(on.records, ttl_s=1.0).events(run.id)
        return [f"{event.name} {event.number}" for event in kept]

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
    redis: RedisServer, prefix: str, tmp_path: Path, lives: int
) -> tuple[RunRecord, int, int]:
    """Run one request in processes that are killed; return it, the deaths, the model's calls."""
    with loopback(clinician) as server:
        command = [sys.executable, "-m", "tests.agent.runs.dying", redis.url]
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
            agent = QueuedAgent(context, queue.caller, accept_in(queue.caller, services.records))
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


def test_kill_9_after_every_answer_loses_nothing_and_pays_nothing_twice(
    redis_server: RedisServer, prefix: str, tmp_path: Path
) -> None:
    calm, tumult = tmp_path / "calm", tmp_path / "tumult"
    calm.mkdir()
    tumult.mkdir()
    whole, _, calls = through_deaths(redis_server, f"{prefix}-a", calm, 0)
    run, deaths, again = through_deaths(redis_server, f"{prefix}-b", tumult, 30)
    assert deaths == DEATHS
    assert again == calls == whole.provenance.usage.calls
    assert run.status is whole.status
    assert shown(run) == shown(whole)
    assert run.provenance.planner.fallbacks == ()


def test_the_log_of_a_large_run_takes_less_than_its_record() -> None:
    """Every mask of a picture full of cells is judged in three rounds."""
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
    run = asyncio.run(on.service.run(request("outline the cells")))
    assert len(run.rounds) == 3
    assert len(run.candidates) > 150
    kept = {key: len(record) for key, record in on.records.records.items()}
    answers = [size for key, size in kept.items() if ":line:" in key]
    assert sum(answers) < kept[f"run:{run.id}"]


def test_a_replay_of_a_run_gives_the_same_masks() -> None:
    on = world()
    run = asyncio.run(on.service.run(request()))
    recording = asyncio.run(on.service.recording(run.id))
    again = type(recording).model_validate_json(recording.model_dump_json())
    replayed = asyncio.run(replay(again, picture()))
    assert differences(run, replayed) == []
    assert shown(run) == shown(replayed)


def test_a_recording_of_version_0_2_whose_image_has_no_name_is_replayed() -> None:
    on = world()
    run = asyncio.run(on.service.run(request(image=image_ref(upload="ab" * 32))))
    text = asyncio.run(on.service.recording(run.id)).model_dump_json()
    old = re.sub(r'"upload":("[0-9a-f]{64}"|null),', "", text)
    assert "upload" not in old
    replayed = asyncio.run(replay(Recording.model_validate_json(old), picture()))
    assert differences(run, replayed) == []


def test_a_replay_of_a_run_whose_tool_was_down_fails_as_it_did() -> None:
    on = World(ScriptedSegmenter(down=NoWorker("none")))
    run = asyncio.run(on.service.run(request()))
    replayed = asyncio.run(replay(asyncio.run(on.service.recording(run.id)), picture()))
    assert differences(run, replayed) == []
    assert replayed.error_kind == run.error_kind == "NoWorker"


def test_a_replay_knows_why_a_model_failed_and_what_that_cost() -> None:
    spent = Usage(calls=2, input_tokens=70, output_tokens=30)
    failed = MllmReplyError("words of a server", reason="no JSON", usage=spent)
    on = World(
        ScriptedSegmenter({"polyp": found(square(20, 20, 40, 40))}),
        ScriptedPlanner(failed, [judging("accept")]),
        pixels=picture(),
    )
    run = asyncio.run(on.service.run(request()))
    recording = asyncio.run(on.service.recording(run.id))
    assert "words of a server" not in recording.model_dump_json()
    replayed = asyncio.run(replay(recording, picture()))
    assert differences(run, replayed) == []
    for each in (run, replayed):
        assert each.provenance.usage == spent.plus(Usage(calls=1))
        assert each.provenance.planner.fallbacks == (
            "plan: gemini failed (MllmReplyError: no JSON), rules took over",
        )


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
