import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from agent.errors import InvalidRequest, ThreadBusy
from agent.runs.result import bounded
from agent.runs.threads import MAX_THREAD_RUNS, Threads, append_run, new_run_id
from agent.schemas.plan import Call
from agent.schemas.rounds import Candidate, Status, Usage
from agent.schemas.runs import (
    PlannerInfo,
    Provenance,
    ResultMask,
    RunRecord,
    TargetResult,
    ThreadRecord,
)
from agent.settings import AgentSettings, Prices
from segmenter.contract import Box, JobEvent
from segmenter.masks.rle import encode
from segmenter.settings import StoreSettings
from tests.agent.doubles import (
    MIDDLE,
    MemoryImages,
    MemoryRecords,
    ScriptedPlanner,
    ScriptedSegmenter,
    World,
    found,
    image_ref,
    judging,
    plan_for,
    request,
    square,
    target,
    to_mask,
)

SMALL = square(26, 26, 34, 34)


async def broken_off(world: World, thread_id: str) -> None:
    """Cancel a run of the thread in its second round."""
    reached = asyncio.Event()

    async def watch(event: JobEvent) -> None:
        if event.name == "run.segment.started" and event.number == 2:
            reached.set()
            await asyncio.sleep(60)

    asked = request("outline the polyp", image=None, thread_id=thread_id)
    task = asyncio.create_task(world.service.run(asked, watch=watch))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_the_target_of_a_cancelled_run_keeps_its_id_to_itself() -> None:
    again = judging("partial", issue="too_small", next="segment")
    planner = ScriptedPlanner(
        plan_for(target("optic disc")), [judging("accept"), again, judging("accept")]
    )
    world = World(ScriptedSegmenter({"optic disc": found(MIDDLE), "polyp": found(SMALL)}), planner)

    async def talk() -> tuple[ThreadRecord, RunRecord]:
        first = await world.service.run(request("outline the optic disc"))
        planner._plan = plan_for(target("polyp"), calls=(Call(target="t1", concept="polyp"),))
        await broken_off(world, first.thread_id)
        thread = await world.service.thread_record(first.thread_id)
        asked = request("outline the polyp", image=None, thread_id=first.thread_id)
        return thread, await world.service.run(asked)

    thread, record = asyncio.run(talk())
    assert {one.target for one in thread.candidates} == {"t1", "t2"}
    assert thread.next_target == 3
    # The same call is new for the new target, so the polyp is found this time.
    assert [(one.target.id, len(one.masks)) for one in record.targets] == [("t1", 1), ("t3", 1)]


class Racing(MemoryRecords):
    """Lets something happen just before a lock is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.before_lock: Callable[[], Awaitable[object]] | None = None

    async def put_new(self, key: str, record: bytes, *, ttl_s: float) -> bool:
        waiting, self.before_lock = self.before_lock, None
        if waiting is not None:
            await waiting()
        return await super().put_new(key, record, ttl_s=ttl_s)


def test_erasing_takes_a_run_along_that_ends_just_before() -> None:
    async def talk() -> dict[str, bytes]:
        records, images = Racing(), MemoryImages()
        threads = Threads(records, images, ttl_s=60.0)
        thread = thread_of()
        await threads.save_thread(thread)

        async def another_run() -> None:
            run = run_of(thread)
            await threads.save_run(run)
            await threads.save_thread(append_run(thread, run, next_mask=1, rejected=()))

        records.before_lock = another_run
        await threads.erase(thread.id)
        return records.records

    assert asyncio.run(talk()) == {}


def test_a_run_that_a_thread_no_longer_lists_leaves_no_record() -> None:
    world = World(ScriptedSegmenter({"polyp": found(MIDDLE)}))

    async def talk() -> list[str]:
        first = await world.service.run(request("outline the polyp"))
        threads = Threads(world.records, world.images, ttl_s=60.0)
        thread = await threads.thread(first.thread_id)
        full = thread.model_copy(
            update={"runs": (first.id, *(f"run_{n:032x}" for n in range(MAX_THREAD_RUNS - 1)))}
        )
        await threads.save_thread(full)
        asked = request("mask 1 is good", image=None, thread_id=first.thread_id)
        await world.service.run(asked)
        assert f"run:{first.id}" not in world.records.records
        await world.service.erase_thread(first.thread_id)
        return list(world.records.records)

    assert asyncio.run(talk()) == []


def thread_of(**changes: object) -> ThreadRecord:
    values: dict[str, object] = {
        "id": f"thr_{7:032x}", "created_at": datetime(2026, 1, 2, tzinfo=UTC),
        "image": image_ref(),
    }  # fmt: skip
    return ThreadRecord.model_validate(values | changes)


def run_of(thread: ThreadRecord) -> RunRecord:
    return RunRecord(
        id=new_run_id(),
        thread_id=thread.id,
        created_at=thread.created_at,
        request="outline the polyp",
        image=thread.image,
        status=Status.UNCERTAIN,
        plan=None,
        rounds=(),
        candidates=(),
        targets=(),
        needs_review=True,
        message="",
        provenance=Provenance(
            segmenter=None,
            planner=PlannerInfo(kind="rules"),
            prompts_version="1",
            rounds=0,
            usage=Usage(),
            seconds=0.0,
        ),
    )


def candidates_of(count: int) -> list[Candidate]:
    mask = to_mask(MIDDLE)
    return [
        Candidate(id=f"m{n}", target="t1", round=1, call=0, concept="polyp", mask=mask)
        for n in range(1, count + 1)
    ]


def showing(*candidates: Candidate) -> TargetResult:
    masks = tuple(ResultMask(candidate=one, label="polyp", verdict="accept") for one in candidates)
    return TargetResult(target=target("polyp"), status=Status.FOUND, masks=masks)


def test_a_record_keeps_what_is_shown_and_the_latest_others_that_fit() -> None:
    many = candidates_of(20)
    size = len(many[0].model_dump_json()) + 1
    kept = bounded(many, [showing(many[1])], max_bytes=6 * size)
    assert [one.id for one in kept] == ["m2", "m17", "m18", "m19", "m20"]


def test_what_is_shown_stays_whatever_it_takes() -> None:
    many = candidates_of(5)
    kept = bounded(many, [showing(many[0], many[4])], max_bytes=1)
    assert [one.id for one in kept] == ["m1", "m5"]


def test_what_a_person_rejected_is_kept_before_other_masks() -> None:
    kept = bounded(candidates_of(5), [], rejected=("m1",), max_count=2)
    assert [one.id for one in kept] == ["m1", "m5"]


def test_a_run_holds_its_own_masks_and_those_it_shows() -> None:
    world = World(ScriptedSegmenter({"optic disc": found(MIDDLE), "optic cup": found(SMALL)}))

    async def talk() -> RunRecord:
        first = await world.service.run(request("outline the optic disc"))
        more = {"image": None, "thread_id": first.thread_id}
        await world.service.run(request("also the optic cup", **more))
        return await world.service.run(request("remove mask 2", **more))

    record = asyncio.run(talk())
    assert [one.id for one in record.candidates] == ["m1"]


def test_a_conversation_of_heavy_masks_never_outgrows_the_store() -> None:
    noise = np.random.default_rng(0).random((1200, 1200)) < 0.5
    box, area = Box(x0=0, y0=0, x1=1200, y1=1200), int(noise.sum())
    heavy = to_mask(MIDDLE).model_copy(update={"rle": encode(noise), "box": box, "area_px": area})
    many = [one.model_copy(update={"mask": heavy}) for one in candidates_of(40)]
    thread = thread_of(candidates=tuple(many), targets=(showing(many[0]),))
    run = run_of(thread).model_copy(
        update={"targets": (showing(many[3]),), "candidates": (many[3],)}
    )
    after = append_run(thread, run, next_mask=41, rejected=())
    assert len(after.model_dump_json()) < StoreSettings().max_record_bytes
    names = [one.id for one in after.candidates]
    assert names[0] == "m4"
    assert names[-1] == "m40"


def conversation() -> tuple[World, str]:
    answers = {"optic disc": found(square(10, 10, 50, 50)), "optic cup": found(SMALL)}
    world = World(ScriptedSegmenter(answers))
    record = asyncio.run(world.service.run(request("optic disc")))
    return world, record.thread_id


def follow(world: World, thread_id: str, text: str) -> RunRecord:
    return asyncio.run(world.service.run(request(text, image=None, thread_id=thread_id)))


def shown_in(run: RunRecord) -> list[tuple[str, list[str]]]:
    return [(one.target.label, [mask.candidate.id for mask in one.masks]) for one in run.targets]


def test_undo_takes_runs_back_one_by_one() -> None:
    world, thread_id = conversation()
    both = shown_in(follow(world, thread_id, "also the optic cup"))
    gone = shown_in(follow(world, thread_id, "remove the optic disc"))
    assert gone != both
    assert shown_in(follow(world, thread_id, "undo that, please")) == both
    assert shown_in(follow(world, thread_id, "undo")) == both[:1]
    third = follow(world, thread_id, "also the optic cup")
    assert [label for label, _ in shown_in(third)] == ["optic disc", "optic cup"]
    # A mask that was taken back keeps its id to itself.
    assert shown_in(third)[1][1] != both[1][1]


def test_undo_brings_a_rejected_mask_back() -> None:
    world, thread_id = conversation()
    before = asyncio.run(world.service.thread_record(thread_id))
    follow(world, thread_id, "mask 1 is wrong")
    follow(world, thread_id, "undo")
    after = asyncio.run(world.service.thread_record(thread_id))
    assert after.targets == before.targets
    assert after.rejected == ()
    assert len(after.runs) == 3


def test_there_is_an_end_to_undo() -> None:
    world, thread_id = conversation()
    follow(world, thread_id, "undo")
    with pytest.raises(InvalidRequest, match="nothing to undo"):
        follow(world, thread_id, "undo")


def test_runs_that_wait_for_their_thread_come_one_after_the_other() -> None:
    world, thread_id = conversation()

    async def crowd() -> list[RunRecord]:
        texts = ["also the optic cup", "tighter", "also the optic cup", "optic disc"]
        asked = [request(text, image=None, thread_id=thread_id, wait=True) for text in texts]
        return list(await asyncio.gather(*(world.service.run(one) for one in asked)))

    runs = asyncio.run(crowd())
    thread = asyncio.run(world.service.thread_record(thread_id))
    assert sorted(thread.runs[1:]) == sorted(run.id for run in runs)
    ids = [one.id for run in runs for one in run.candidates]
    assert len(set(ids)) <= len(thread.candidates)


def test_a_run_that_does_not_wait_is_refused_while_another_goes_on() -> None:
    world, thread_id = conversation()

    async def both() -> None:
        await world.service.begin(
            request("also the optic cup", image=None, thread_id=thread_id), new_run_id()
        )
        await world.service.run(request("optic disc", image=None, thread_id=thread_id))

    with pytest.raises(ThreadBusy):
        asyncio.run(both())


def test_erasing_a_thread_leaves_nothing_of_it() -> None:
    world, thread_id = conversation()
    follow(world, thread_id, "also the optic cup")
    asyncio.run(world.service.erase_thread(thread_id))
    assert world.records.records == {}


def test_a_run_is_priced_where_prices_are_known() -> None:
    usage = Usage(calls=2, input_tokens=200_000, output_tokens=50_000)
    prices = Prices(input_per_million=2.0, output_per_million=10.0)
    assert prices.of(usage) == pytest.approx(0.9)
    planner = ScriptedPlanner(plan_for(target()), [judging("accept")])
    planner.usage = usage
    world = World(
        ScriptedSegmenter({"polyp": found(SMALL)}), planner, settings=AgentSettings(prices=prices)
    )
    run = asyncio.run(world.service.run(request()))
    assert run.provenance.cost == pytest.approx(1.8)
    free = World(ScriptedSegmenter({"polyp": found(SMALL)}), settings=AgentSettings(prices=prices))
    assert asyncio.run(free.service.run(request())).provenance.cost is None


def test_an_undo_takes_back_a_change_and_no_question() -> None:
    world, thread = conversation()
    before = follow(world, thread, "how big is it?")
    follow(world, thread, "grow it by 2 px")
    follow(world, thread, "how big is it?")
    assert [one.masks for one in follow(world, thread, "undo").targets] == [
        one.masks for one in before.targets
    ]
    assert "px before" in follow(world, thread, "what changed?").answer
    assert follow(world, thread, "redo").targets != before.targets


def test_what_is_made_of_a_mask_is_meant_by_its_old_id() -> None:
    world, thread = conversation()
    grown = follow(world, thread, "grow it by 2 px").targets[0].masks[0].candidate.id
    assert grown in follow(world, thread, "how big is mask 1?").answer
    run = follow(world, thread, "accept mask 1")
    assert f"mask m1 is shown as {grown}" in run.message.lower()
    assert [mask.candidate.id for one in run.targets for mask in one.masks] == [grown]
