"""Words that the rules do not understand, through the whole loop: a model reads them, code acts."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Literal

import pytest
from pydantic import SecretStr

from agent.mllm.factory import build_mllm
from agent.planners.mllm import MllmPlanner
from agent.schemas.rounds import Status
from agent.schemas.runs import RunRecord
from agent.service import AgentContext, AgentService
from segmenter.masks.rle import decode
from tests.agent.doubles import (
    Clock,
    MemoryImages,
    MemoryRecords,
    ScriptedSegmenter,
    found,
    picture,
    request,
    square,
)
from tests.agent.loopback import loopback, says
from tests.agent.plan_replies import PlansByModel, SaysMllm

Wire = Literal["none", "gemini", "openai"]
Plan = Mapping[str, object]
BIG, SMALL = square(10, 10, 40, 40), square(48, 48, 58, 58)


def plan(**said: object) -> Plan:
    empty = {"decision": "unclear", "modality": "endoscopy", "targets": [], "calls": []}
    return {**empty, **said}


async def asked(planner: PlansByModel, words: str, *, follows: bool) -> RunRecord:
    agent = AgentService(
        AgentContext(
            segmenter=ScriptedSegmenter({"polyp": found(BIG, SMALL)}),
            images=MemoryImages(picture()),
            records=MemoryRecords(),
            planners={"gemini": planner},
            clock=Clock(),
        )
    )
    if not follows:
        return await agent.run(request(words, planner="gemini"))
    first = await agent.run(request("outline the polyp", planner="rules"))
    return await agent.run(request(words, planner="gemini", thread_id=first.thread_id, image=None))


async def by_wire(
    url: str, kind: Literal["gemini", "openai"], words: str, follows: bool
) -> RunRecord:
    base = url if kind == "gemini" else f"{url}/v1"
    mllm = build_mllm(kind, model="m", api_key=SecretStr("k"), base_url=base, retries=0)
    try:
        return await asked(PlansByModel(MllmPlanner(mllm)), words, follows=follows)
    finally:
        await mllm.aclose()


def said(wire: Wire, words: str, answer: Plan, *, follows: bool = True) -> RunRecord:
    """Return the run of a request, in a thread with two polyps if it follows them."""
    if wire == "none":
        planner = PlansByModel(MllmPlanner(SaysMllm(dict(answer))))
        return asyncio.run(asked(planner, words, follows=follows))
    with loopback(says(dict(answer))) as server:
        return asyncio.run(by_wire(server.url, wire, words, follows))


def areas(run: RunRecord) -> list[int]:
    """Return the sizes of the masks that stand, the largest first."""
    masks = [mask.candidate.mask.rle for result in run.targets for mask in result.masks]
    return sorted((int(decode(mask).sum()) for mask in masks), reverse=True)


each_wire = pytest.mark.parametrize("wire", ["none", "gemini", "openai"])


@each_wire
@pytest.mark.parametrize(
    ("words", "answer", "same"),
    [
        pytest.param(
            "obliterate m2",
            plan(operations=[{"act": "drop", "words": "obliterate m2", "masks": ["m2"]}]),
            "drop m2",
            id="an operation",
        ),
        pytest.param(
            "keep the whoppingest one",
            plan(
                operations=[
                    {"act": "keep", "words": "keep the whoppingest one", "which": ["largest"]}
                ]
            ),
            "keep the largest one",
            id="which of them",
        ),
        pytest.param(
            "whaddya reckon its bigness",
            plan(
                questions=[
                    {
                        "topic": "area",
                        "words": "whaddya reckon its bigness",
                        "targets": ["polyp"],
                    }
                ]
            ),
            "what is the area?",
            id="a question",
        ),
    ],
)
def test_what_the_model_understands_is_carried_out_as_if_the_rules_had(
    wire: Wire, words: str, answer: Plan, same: str
) -> None:
    run, plain = said(wire, words, answer), said("none", same, plan())
    assert run.not_understood == plain.not_understood == ()
    assert (areas(run), run.answer, run.status) == (areas(plain), plain.answer, plain.status)
    assert areas(run) != [900, 100] or run.answer


@each_wire
def test_so_it_is_with_the_first_request(wire: Wire) -> None:
    words = "outline the polyp, whoppingest one"
    target = {"label": "polyp", "words": words, "count": "one", "which": ["largest"]}
    run = said(wire, words, plan(decision="segment", targets=[target]), follows=False)
    assert run.not_understood == ()
    assert areas(run) == [900]


@each_wire
@pytest.mark.parametrize("follows", [True, False])
@pytest.mark.parametrize(
    "nods",
    [
        plan(note="understood, all done"),
        plan(decision="segment", targets=[{"label": "polyp", "words": "polyp"}]),
        plan(not_understood=["frobnicate"]),
    ],
    ids=["says nothing", "repeats the target", "refuses"],
)
def test_a_word_that_the_model_only_nods_at_is_named(wire: Wire, follows: bool, nods: Plan) -> None:
    words = "smooth it and frobnicate" if follows else "outline the polyp, frobnicate that"
    run = said(wire, words, nods, follows=follows)
    (part,) = run.not_understood
    assert part.startswith("frobnicate")
    assert f'"{part}"' in run.message
    assert run.status is Status.UNCERTAIN
    assert run.needs_review


@each_wire
@pytest.mark.parametrize("follows", [True, False])
@pytest.mark.parametrize(
    "order",
    [
        {"act": "vaporise", "words": "frobnicate"},
        {"act": "drop", "words": "delete everything"},
        {"act": "drop", "words": "frobnicate", "masks": ["m77"]},
        {"act": "undo", "words": "frobnicate"},
    ],
    ids=["an act that is none", "words nobody said", "a mask that is not there", "a step back"],
)
def test_an_operation_that_the_model_invents_is_named_and_not_done(
    wire: Wire, follows: bool, order: dict[str, object]
) -> None:
    words = "accept m1, frobnicate" if follows else "outline the polyp, frobnicate that"
    run = said(wire, words, plan(operations=[order]), follows=follows)
    assert areas(run) == [900, 100]
    (part,) = run.not_understood
    assert part.startswith("frobnicate")
    assert run.status is Status.UNCERTAIN


Silencer = Callable[[str], dict[str, object]]


@pytest.mark.parametrize(
    "silences",
    [
        pytest.param(lambda words: {"context": [words]}, id="the whole as context"),
        pytest.param(lambda words: {"context": words.split()}, id="each word as context"),
        pytest.param(
            lambda words: {"operations": [{"act": "accept", "words": words}]},
            id="the whole as the words of an operation",
        ),
        pytest.param(
            lambda words: {"questions": [{"topic": "names", "words": words}]},
            id="the whole as the words of a question",
        ),
        pytest.param(
            lambda words: {"targets": [{"label": "polyp", "words": words}]},
            id="the whole as the words of a target",
        ),
    ],
)
@pytest.mark.parametrize(
    "words",
    [
        "outline the polyp, frobnicate that",
        "outline the polyp, but please do frobnicate the wibbly thing with some serious oomph"
        " and never mind the zorp",
    ],
    ids=["short", "long"],
)
def test_a_request_cannot_be_silenced_by_repeating_it(silences: Silencer, words: str) -> None:
    run = said("none", words, plan(decision="segment", **silences(words)), follows=False)
    assert any("frobnicate" in part for part in run.not_understood)
    assert run.status is Status.UNCERTAIN
