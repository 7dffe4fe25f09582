import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.contract import RoundView
from agent.conversation.follow_up import open_thread
from agent.errors import MllmRefused, MllmReplyError, MllmUnavailable
from agent.language.lexicon import load_lexicon
from agent.loop.context import RunContext, Tools
from agent.loop.graph import RECURSION_LIMIT, build_graph, walk
from agent.loop.state import AgentState
from agent.planners.rules import RulesPlanner
from agent.policy.calls import is_tried
from agent.schemas.plan import Call
from agent.schemas.rounds import Inspection, Status, Usage
from agent.schemas.runs import AgentRequest, RunRecord, ThreadRecord
from agent.settings import AgentSettings, Budget
from segmenter.contract import BoxPrompt, Frozen, JobEvent
from segmenter.errors import DeadlineExceeded, JobFailed, NoWorker, QueueFull, TransportDown
from segmenter.measures.mask import measure
from segmenter.storage.luma import luma
from tests.agent.doubles import (
    MIDDLE,
    Clock,
    Judge,
    MemoryImages,
    ScriptedPlanner,
    ScriptedSegmenter,
    World,
    box,
    capabilities,
    found,
    image_ref,
    judging,
    nothing,
    picture,
    plan_for,
    request,
    square,
    target,
)

WIDER = square(18, 18, 42, 42)
ELSEWHERE = square(2, 2, 14, 14)
TWO_PLACES = {"polyp": found(MIDDLE), "polyp+box": found(WIDER), "adenoma": found(ELSEWHERE)}
BOXED = (Call(target="t1", concept="polyp", boxes=(BoxPrompt(box=box(18, 18, 42, 42)),)),)


def run(world: World, text: str = "outline the polyp", **changes: object) -> RunRecord:
    return asyncio.run(world.service.run(request(text, **changes)))


def ids(record: RunRecord) -> list[list[str]]:
    return [[mask.candidate.id for mask in one.masks] for one in record.targets]


def test_a_plain_find_takes_one_round() -> None:
    world = World(ScriptedSegmenter({"polyp": found(MIDDLE)}))
    record = run(world)
    assert (record.status, ids(record), len(record.rounds)) == (Status.FOUND, [["m1"]], 1)
    assert not record.needs_review
    assert record.provenance.planner.kind == "rules"
    assert record.provenance.segmenter is not None
    assert world.segmenter.asked() == [["polyp"]]


def test_all_calls_of_a_round_travel_as_one_request() -> None:
    world = World(ScriptedSegmenter({"optic disc": found(MIDDLE), "optic cup": found(MIDDLE)}))
    record = run(world, "optic disc and cup")
    assert world.segmenter.asked() == [["optic disc", "optic cup"]]
    assert ids(record) == [["m1"], ["m2"]]


def test_a_normal_scan_asked_for_a_tumour_ends_not_found_for_a_person_to_see() -> None:
    world = World(ScriptedSegmenter({"breast tumor": nothing(presence=0.05)}))
    record = run(world, "breast tumour")
    assert (record.status, record.needs_review, ids(record)) == (Status.NOT_FOUND, True, [[]])
    assert [one.threshold for one in world.segmenter.requests] == [None, 0.3]


def test_an_absence_the_model_is_unsure_of_stays_uncertain() -> None:
    record = run(World(ScriptedSegmenter({"polyp": nothing(presence=0.45)})))
    assert record.status is Status.UNCERTAIN


def test_a_faint_find_is_shown_as_uncertain() -> None:
    faint = found(MIDDLE, joint=0.35, presence=0.5)
    record = run(World(ScriptedSegmenter({"polyp": faint})))
    assert (record.status, ids(record), record.needs_review) == (Status.UNCERTAIN, [["m1"]], True)


def test_a_concept_the_model_cannot_look_for_is_not_an_absence() -> None:
    record = run(World(ScriptedSegmenter()), "Where is the gallstone?")
    assert (record.status, record.needs_review) == (Status.UNCERTAIN, True)
    assert record.targets[0].reason.startswith(
        "this model cannot look for 'gallstone'; it knows: breast tumor, polyp"
    )
    assert len(record.rounds) == 1


def test_a_request_that_names_nothing_calls_no_tool() -> None:
    world = World(ScriptedSegmenter())
    record = run(world, "hello")
    assert (record.status, world.segmenter.requests) == (Status.UNCERTAIN, [])


def test_a_box_alone_is_enough() -> None:
    world = World(ScriptedSegmenter({"box": found(MIDDLE)}))
    record = run(world, "segment this", box=box(18, 18, 42, 42))
    assert (record.status, world.segmenter.asked()) == (Status.FOUND, [["box"]])


def test_the_set_of_the_callers_box_is_preferred() -> None:
    world = World(ScriptedSegmenter({"polyp": found(MIDDLE), "polyp+box": found(WIDER, joint=0.8)}))
    record = run(world, box=box(18, 18, 42, 42))
    (mask,) = record.targets[0].masks
    assert record.rounds[0].calls[mask.candidate.call].boxes != ()


def test_an_unknown_word_with_a_box_is_looked_for_by_the_box() -> None:
    world = World(ScriptedSegmenter({"box": found(MIDDLE)}))
    record = run(world, "outline the zorblax", box=box(18, 18, 42, 42))
    assert (record.status, record.needs_review) == (Status.UNCERTAIN, True)
    assert "cannot tell whether that is zorblax" in record.message

    assert world.segmenter.asked() == [["box", "zorblax"]]


def test_one_lung_is_cut_out_of_a_mask_of_both() -> None:
    both = square(4, 10, 24, 54) | square(40, 10, 60, 54)
    record = run(World(ScriptedSegmenter({"lungs": found(both)})), "left lung on this chest X-ray")
    (mask,) = record.targets[0].masks
    assert (mask.candidate.mask.box.x0, mask.candidate.derived_from) == (40.0, "m1")


def test_area_is_in_square_millimetres_where_the_spacing_is_known() -> None:
    spacing = {"row_mm": 0.5, "column_mm": 2.0, "source": "PixelSpacing"}
    record = run(
        World(ScriptedSegmenter({"polyp": found(MIDDLE)})), image=image_ref(spacing=spacing)
    )
    [mask] = record.targets[0].masks
    assert mask.area_mm2 == 400.0
    assert mask.measures == measure(MIDDLE, record.image.spacing, luma(picture()))
    assert mask.measures.spacing_source == "PixelSpacing"


@pytest.mark.parametrize(
    "error",
    [
        JobFailed("model died on /secret/path"),
        DeadlineExceeded("late"),
        NoWorker("none"),
        QueueFull("full"),
        TransportDown("redis://user:password@host"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_failed_tool_call_is_a_failed_run_without_internals(error: Exception) -> None:
    record = run(World(ScriptedSegmenter(failures=[error])))
    assert (record.status, record.error_kind) == (Status.FAILED, type(error).__name__)
    assert record.error is not None
    assert "secret" not in record.model_dump_json()
    assert "password" not in record.model_dump_json()
    assert [one.status for one in record.targets] == [Status.FAILED]


def test_a_tool_that_is_down_at_the_start_is_a_failed_run() -> None:
    record = run(World(ScriptedSegmenter(down=NoWorker("none"))))
    assert (record.status, record.error_kind) == (Status.FAILED, "NoWorker")
    assert record.plan is None


def test_a_failure_in_a_later_round_leaves_what_was_found() -> None:
    planner = ScriptedPlanner(plan_for(target()), [judging("partial", next="segment", calls=BOXED)])
    segmenter = ScriptedSegmenter(TWO_PLACES, failures=[None, JobFailed("died")])
    record = run(World(segmenter, planner))
    assert (record.status, ids(record), record.needs_review) == (Status.FOUND, [["m1"]], True)


def test_a_failure_before_anything_is_found_is_no_absence() -> None:
    segmenter = ScriptedSegmenter(failures=[None, JobFailed("died")])
    record = run(World(segmenter))
    assert [one.status for one in record.targets] == [Status.FAILED]


def test_a_judged_and_compared_win_replaces_the_incumbent() -> None:
    planner = ScriptedPlanner(
        plan_for(target()),
        [judging("partial", next="segment", calls=BOXED), judging("accept", better="yes")],
        ["second", "first"],
    )
    record = run(World(ScriptedSegmenter(TWO_PLACES), planner))
    assert (ids(record), record.provenance.usage.calls) == ([["m2"]], 5)
    assert [win.new for one in record.rounds for win in one.wins] == [("m1",), ("m2",)]
    assert planner.compared == [(("m1",), ("m2",)), (("m2",), ("m1",))]


@pytest.mark.parametrize(
    "comparisons",
    [["second", "second"], ["first", "first"], ["same", "first"], [MllmRefused("no")]],
)
def test_a_comparison_that_is_not_won_both_ways_leaves_the_incumbent(
    comparisons: list[object],
) -> None:
    planner = ScriptedPlanner(
        plan_for(target()),
        [judging("partial", next="segment", calls=BOXED), judging("accept", better="yes")],
        comparisons,  # type: ignore[arg-type]
    )
    assert ids(run(World(ScriptedSegmenter(TWO_PLACES), planner))) == [["m1"]]


def test_the_planner_sees_its_history_and_the_incumbent() -> None:
    planner = ScriptedPlanner(
        plan_for(target()),
        [judging("partial", next="segment", calls=BOXED), judging("partial", better="no")],
    )
    run(World(ScriptedSegmenter(TWO_PLACES), planner))
    second = planner.looks[1]
    assert (second.number, dict(second.incumbents), len(second.history)) == (2, {"t1": ("m1",)}, 1)
    assert [one.id for one in second.candidates] == ["m1", "m2"]
    assert set(second.masks) == {"m1", "m2"}


def test_the_same_pixels_again_end_the_run() -> None:
    planner = ScriptedPlanner(
        plan_for(target()),
        [judging("partial", next="segment", calls=BOXED), judging("partial", next="segment")],
    )
    segmenter = ScriptedSegmenter({"polyp": found(MIDDLE), "polyp+box": found(MIDDLE)})
    record = run(World(segmenter, planner))
    assert len(record.rounds) == 2
    assert [one.id for one in planner.looks[1].candidates] == ["m1"]


def test_absent_needs_the_tool_too() -> None:
    planner = ScriptedPlanner(plan_for(decision="absent"), [judging("reject", next="absent")] * 3)
    world = World(ScriptedSegmenter(), planner)
    record = run(world, "outline the polyp")
    assert record.status is Status.NOT_FOUND
    assert world.segmenter.asked() == [["polyp"], ["polyp"]]
    assert not record.needs_review


def test_two_rounds_of_another_structure_and_the_planners_word_are_an_absence() -> None:
    reject = judging("reject", issue="wrong_structure", next="absent")
    planner = ScriptedPlanner(plan_for(target(phrases=("polyp", "adenoma"))), [reject] * 3)
    segmenter = ScriptedSegmenter(
        {"polyp": found(MIDDLE), "adenoma": found(ELSEWHERE)}, can=capabilities(concepts=None)
    )
    record = run(World(segmenter, planner), max_rounds=3)
    assert (record.status, ids(record)) == (Status.NOT_FOUND, [[]])


def test_one_rejected_round_is_uncertain_and_shows_the_incumbent() -> None:
    planner = ScriptedPlanner(
        plan_for(target()), [judging("reject", issue="wrong_structure", next="absent")]
    )
    record = run(World(ScriptedSegmenter(TWO_PLACES), planner), max_rounds=1)
    assert (record.status, ids(record), record.needs_review) == (Status.UNCERTAIN, [["m1"]], True)


def test_a_failed_plan_is_made_by_the_rules_and_written_down() -> None:
    planner = ScriptedPlanner(MllmUnavailable("key=secret"), [judging("accept")])
    record = run(World(ScriptedSegmenter({"polyp": found(MIDDLE)}), planner))
    assert record.status is Status.FOUND
    assert record.needs_review
    assert record.provenance.planner.fallbacks == (
        "plan: gemini failed (MllmUnavailable), rules took over",
    )


def test_two_failed_judgements_in_a_row_hand_the_run_to_the_rules() -> None:
    planner = ScriptedPlanner(
        plan_for(target()), [MllmReplyError("cut"), MllmReplyError("cut"), judging("accept")]
    )
    record = run(World(ScriptedSegmenter(), planner))
    assert [one.planner for one in record.rounds] == ["rules", "rules"]
    assert len(record.provenance.planner.fallbacks) == 2
    assert record.provenance.usage.calls == 1


def test_what_failed_steps_cost_is_paid_for() -> None:
    spent = Usage(calls=2, input_tokens=70, output_tokens=30)
    failed = MllmReplyError(reason="empty", usage=spent)
    planner = ScriptedPlanner(failed, [failed, failed])
    record = run(World(ScriptedSegmenter(), planner))
    assert record.provenance.usage == spent.plus(spent).plus(spent)
    assert record.provenance.planner.fallbacks == (
        "plan: gemini failed (MllmReplyError: empty), rules took over",
        "inspect 1: gemini failed (MllmReplyError: empty), rules took over",
        "inspect 2: gemini failed (MllmReplyError: empty), rules took over",
    )


def test_a_failed_comparison_is_paid_for() -> None:
    failed = MllmRefused(reason="refused", usage=Usage(calls=1, input_tokens=70))
    planner = ScriptedPlanner(
        plan_for(target()),
        [judging("partial", next="segment", calls=BOXED), judging("partial", better="yes")],
        [failed],
    )
    answers = {"polyp": found(MIDDLE, joint=0.5), "polyp+box": found(WIDER, joint=1.0)}
    record = run(World(ScriptedSegmenter(answers), planner))
    assert record.provenance.usage == Usage(calls=4, input_tokens=70)
    assert record.provenance.planner.fallbacks == (
        "compare 2: gemini failed (MllmRefused: refused), rules took over",
    )


def test_events_tell_of_a_fallback_and_why() -> None:
    told: list[JobEvent] = []

    async def watch(event: JobEvent) -> None:
        told.append(event)

    failed = MllmReplyError(reason="does not fit: calls[0].target")
    planner = ScriptedPlanner(failed, [failed, judging("accept")])
    world = World(ScriptedSegmenter({"polyp": found(MIDDLE)}), planner)
    asyncio.run(world.service.run(request(), watch=watch))
    facts = {event.name: event.facts.get("fallback") for event in told}
    why = "gemini failed (MllmReplyError: does not fit: calls[0].target), rules took over"
    assert facts["run.plan"] == f"plan: {why}"
    assert facts["run.round.completed"] == f"inspect 1: {why}"


def test_rules_that_stand_in_do_not_overrule_a_judged_incumbent() -> None:
    planner = ScriptedPlanner(
        plan_for(target()),
        [judging("partial", next="segment", calls=BOXED), MllmRefused("blocked")],
    )
    answers = {"polyp": found(MIDDLE, joint=0.5), "polyp+box": found(WIDER, joint=1.0)}
    record = run(World(ScriptedSegmenter(answers), planner))
    assert ids(record) == [["m1"]]


def test_a_planner_that_never_answers_costs_its_step_only() -> None:
    class Sleeper(ScriptedPlanner):
        async def inspect(self, view: RoundView, *, timeout_s: float) -> object:  # type: ignore[override]
            await asyncio.sleep(60)
            raise AssertionError

    limits = AgentSettings(step_timeout_s=0.05)
    world = World(
        ScriptedSegmenter({"polyp": found(MIDDLE)}), Sleeper(plan_for(target())), settings=limits
    )
    record = run(world)
    assert record.status is Status.FOUND
    assert record.provenance.planner.fallbacks == (
        "inspect 1: gemini failed (MllmUnavailable: no answer in time), rules took over",
    )


def test_a_run_without_time_has_failed_and_found_nothing_out() -> None:
    world = World(ScriptedSegmenter(), clock=Clock(step_s=200.0))
    record = run(world)
    assert (record.status, record.error_kind) == (Status.FAILED, "DeadlineExceeded")
    assert world.segmenter.requests == []


def test_a_run_out_of_time_ends_with_what_it_has() -> None:
    clock = Clock()

    def slow(view: RoundView) -> Inspection:
        clock.time_s += 200.0
        return judging("partial", next="segment", calls=BOXED)(view)

    planner = ScriptedPlanner(plan_for(target()), [slow])
    record = run(World(ScriptedSegmenter(TWO_PLACES), planner, clock=clock))
    assert (record.status, ids(record), len(record.rounds)) == (Status.FOUND, [["m1"]], 1)


def test_specks_that_were_judged_go_without_a_new_call() -> None:
    dirty = MIDDLE | square(60, 60, 61, 61)
    planner = ScriptedPlanner(plan_for(target()), [judging("partial", issue="fragmented")])
    world = World(ScriptedSegmenter({"polyp": found(dirty)}), planner)
    record = run(world)
    (mask,) = record.targets[0].masks
    assert (mask.candidate.derived_from, mask.candidate.mask.area_px) == ("m1", 400)
    assert len(world.segmenter.requests) == 1


def test_nested_targets_stay_together() -> None:
    planner = ScriptedPlanner(
        plan_for(target("optic disc"), target("optic cup", id="t2")),
        [judging("accept")],
    )
    segmenter = ScriptedSegmenter(
        {"optic disc": found(WIDER), "optic cup": found(square(26, 26, 36, 36))}
    )
    assert ids(run(World(segmenter, planner))) == [["m1"], ["m2"]]


def test_a_verdict_on_an_invented_mask_is_ignored() -> None:
    def judge(view: RoundView) -> Inspection:
        told = judging("accept")(view)
        ghost = told.verdicts[0].model_copy(update={"candidate": "m99"})
        return told.model_copy(update={"verdicts": (*told.verdicts, ghost)})

    planner = ScriptedPlanner(plan_for(target()), [judge])
    record = run(World(ScriptedSegmenter(TWO_PLACES), planner))
    assert [one.candidate for one in record.rounds[0].inspection.verdicts] == ["m1"]


def run_context(segmenter: ScriptedSegmenter, asked: AgentRequest | None = None) -> RunContext:
    made = asked or request()
    tools = Tools(
        segmenter=segmenter,
        images=MemoryImages(),
        rules=RulesPlanner(),
        settings=AgentSettings(),
        clock=Clock(),
    )
    assert made.image is not None
    thread = ThreadRecord(id="thr_" + "0" * 32, created_at=datetime.now(UTC), image=made.image)
    return RunContext(
        run_id="run_" + "0" * 32,
        request=made,
        image=made.image,
        thread=thread,
        opening=open_thread(made, thread, load_lexicon()),
        planner=tools.rules,
        tools=tools,
        budget=Budget(seconds=tools.settings.run_timeout_s),
    )


def states_of(on: RunContext) -> list[AgentState]:
    async def collect() -> list[AgentState]:
        return [state async for state in walk(on)]

    return asyncio.run(collect())


def test_the_state_is_small_and_without_masks_however_large_they_are() -> None:
    noise = np.random.default_rng(0).random((64, 64)) > 0.5
    crowd = found(*[np.roll(noise, shift) for shift in range(20)])
    states = states_of(
        run_context(
            ScriptedSegmenter(dict.fromkeys(("nuclei", "polyp"), crowd)),
            request("nuclei and polyp"),
        )
    )
    written = json.dumps(states[-1], default=lambda record: record.model_dump(mode="json"))
    assert len(written) < 64_000
    assert "counts" not in written


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_the_graph_ends_well_before_its_recursion_limit(rounds: int) -> None:
    on = run_context(ScriptedSegmenter(can=capabilities(concepts=None)), request(max_rounds=rounds))
    states = states_of(on)
    assert len(states) <= 4 + 3 * rounds < RECURSION_LIMIT
    assert states[-1]["outcome"] is not None


words = st.sampled_from(["accept", "partial", "reject"])
issues = st.sampled_from(
    ["none", "wrong_structure", "too_large", "too_small", "leak", "fragmented"]
)
steps = st.sampled_from(["stop", "segment", "absent"])
boxes = st.tuples(*[st.integers(0, 70)] * 2).map(lambda at: box(at[0], at[1], at[0] + 9, at[1] + 9))
calls = st.builds(
    lambda concept, at: Call(
        target="t1", concept=concept, boxes=(BoxPrompt(box=at),) if at else ()
    ),
    st.sampled_from(["polyp", "adenoma", "Bump!", "a b c d", None]),
    st.none() | boxes,
)
judges = st.one_of(
    st.builds(
        lambda word, issue, better, step, more: judging(
            word, issue=issue, better=better, next=step, calls=tuple(more)
        ),
        words,
        issues,
        st.sampled_from(["yes", "no", "same"]),
        steps,
        st.lists(calls, max_size=6),
    ),
    st.just(MllmReplyError("cut")),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(judges, min_size=3, max_size=3),
    st.lists(st.sampled_from(["first", "second", "same"]), min_size=6, max_size=6),
    st.sampled_from(["segment", "absent", "unclear"]),
)
def test_for_any_judge_a_run_ends_within_its_bounds(
    script: Sequence[Judge | Exception], comparisons: list[object], decision: str
) -> None:
    planner = ScriptedPlanner(
        plan_for(target(phrases=("polyp", "adenoma")), decision=decision),
        script,
        comparisons,  # type: ignore[arg-type]
    )
    segmenter = ScriptedSegmenter(
        {**TWO_PLACES, "box": found(square(30, 30, 50, 50)), "bump": nothing()},
        can=capabilities(concepts=None, negative_boxes=True),
    )
    record = run(World(segmenter, planner))
    made = [call for one in record.rounds for call in one.calls]
    assert 1 <= len(record.rounds) <= 3
    assert all(len(one.calls) <= 4 for one in record.rounds)
    assert not any(is_tried(call, made[:place]) for place, call in enumerate(made))
    assert record.provenance.usage.calls <= 6
    assert record.status in (Status.FOUND, Status.NOT_FOUND, Status.UNCERTAIN)
    wins = [win for one in record.rounds for win in one.wins]
    for before, after in pairwise(wins):
        assert after.old == before.new
    if record.status is not Status.NOT_FOUND and wins:
        assert ids(record) == [list(wins[-1].new)]


def test_nothing_is_sent_to_langsmith_even_if_the_environment_asks_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    visits: list[str] = []

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            visits.append(self.path)
            self.send_response(202)
            self.end_headers()

        do_GET = do_PATCH = do_POST  # noqa: N815 - the names http.server calls

        def log_message(self, *parts: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Endpoint) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2", "LANGSMITH_TRACING_V2"):
            monkeypatch.setenv(name, "true")
        monkeypatch.setenv("LANGSMITH_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("LANGSMITH_API_KEY", "lsv2_test")
        assert run(World(ScriptedSegmenter({"polyp": found(MIDDLE)}))).status is Status.FOUND
        wait_for_tracers()
        server.shutdown()
        thread.join()
    assert visits == []


def wait_for_tracers() -> None:
    from langchain_core.tracers.langchain import wait_for_all_tracers

    wait_for_all_tracers()


def test_the_graph_has_the_steps_of_the_design() -> None:
    nodes = set(build_graph().get_graph().nodes) - {"__start__", "__end__"}
    assert nodes == {"prepare", "plan", "segment", "inspect", "refine", "finish"}


def test_every_watcher_hears_the_end() -> None:
    heard: list[str] = []

    async def watch(event: Frozen) -> None:
        heard.append(event.name)  # type: ignore[attr-defined]

    world = World(ScriptedSegmenter({"polyp": found(MIDDLE)}))
    record = asyncio.run(world.service.run(request(), watch=watch))
    assert isinstance(record.created_at, datetime)
    assert heard == [
        "run.created",
        "run.plan",
        "run.segment.started",
        "run.segment.completed",
        "run.inspect",
        "run.round.completed",
        "run.completed",
    ]
