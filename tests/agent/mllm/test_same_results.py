"""What the rules understand, a model that understands it too brings to the same end.

The model's answers are made of the intent that the rules read, so what is compared is the way from
a plan to its results: targets, masks, answers and what was not understood.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
from pydantic import SecretStr

from agent.contract import Planner
from agent.language.lexicon import load_lexicon
from agent.language.request import read_request
from agent.mllm.factory import build_mllm
from agent.planners.mllm import MllmPlanner
from agent.schemas.rounds import Status
from agent.schemas.runs import RunRecord
from agent.service import AgentContext, AgentService
from tests.agent.doubles import (
    CONCEPTS,
    Clock,
    MemoryImages,
    MemoryRecords,
    ScriptedSegmenter,
    found,
    request,
    square,
)
from tests.agent.loopback import loopback, says
from tests.agent.plan_replies import PlansByModel, SaysMllm, to_reply

REQUESTS = Path(__file__).parents[1] / "language" / "requests"
# (request, what the thread holds)
OWN = [
    ("outline the polyp", ()),
    ("the largest polyp, please", ()),
    ("LV, RV and myocardium", ()),
    ("three biggest nuclei", ()),
    ("lungs but not the heart", ()),
    ("lung infection in the left lung", ()),
    ("outline the mass", ()),
    ("outline the zorp", ()),
    ("segmnt the pollyp pls", ()),
    ("only the LV", ("left ventricle", "right ventricle", "myocardium")),
    ("remove the disc", ("optic cup", "optic disc")),
    ("mask 1 is wrong", ("polyp",)),
    ("drop m2", ("nuclei",)),
    ("keep m1", ("nuclei",)),
    ("tighter", ("polyp",)),
    ("now the aorta too", ("myocardium",)),
    ("the left one only", ("lungs",)),
    ("how big is it?", ("polyp",)),
    ("smooth the edges and frobnicate", ("polyp",)),
]
# As many masks as requests name by number.
OTHERS = (
    square(34, 40, 44, 60),
    square(4, 40, 12, 56),
    square(50, 24, 60, 34),
    square(16, 44, 28, 58),
)
KINDS: list[Literal["gemini", "openai"]] = ["gemini", "openai"]


def written() -> list[tuple[str, tuple[str, ...]]]:
    """The requests of `REQUESTS`, each with what its thread holds."""
    entries = [
        entry
        for path in sorted(REQUESTS.glob("*.json"))
        for entry in json.loads(path.read_text("utf-8"))
    ]
    return [(entry["request"], tuple(entry.get("holds", ()))) for entry in entries]


def service(planner: Planner) -> AgentService:
    masks = {
        concept: found(square(4 + 3 * at, 4, 20 + 3 * at, 20), *OTHERS)
        for at, concept in enumerate(CONCEPTS)
    }
    return AgentService(
        AgentContext(
            segmenter=ScriptedSegmenter(masks),
            images=MemoryImages(),
            records=MemoryRecords(),
            planners={planner.kind: planner},
            clock=Clock(),
        )
    )


async def answered(words: str, holds: Sequence[str], planner: Planner, kind: str) -> RunRecord:
    """Return the record of a request, in a thread that holds something."""
    agent = service(planner)
    thread = None
    if holds:
        first = request(f"outline the {' and the '.join(holds)}", planner="rules")
        thread = (await agent.run(first)).thread_id
        if read_request(words, load_lexicon()).acts("redo"):
            await agent.run(request("undo", planner="rules", thread_id=thread, image=None))
    asked = request(
        words, planner=kind, thread_id=thread, image=None if thread else request().image
    )
    return await agent.run(asked)


def reply_for(words: str, record: RunRecord) -> dict[str, object]:
    """Return the plan of a model that understands a request as the rules did."""
    return to_reply(record.intent or read_request(words, load_lexicon()), words)


def outcome(record: RunRecord) -> dict[str, object]:
    """What a person is told and shown, and whether rules took over from the model."""
    return {
        "status": record.status,
        "targets": [
            (
                result.target.label,
                result.target.selection,
                result.status,
                result.reason,
                [
                    (mask.candidate.id, mask.candidate.mask.rle, mask.verdict)
                    for mask in result.masks
                ],
            )
            for result in record.targets
        ],
        # Nothing found needs a look where only the rules looked.
        "needs_review": record.needs_review and record.status is not Status.NOT_FOUND,
        "message": record.message,
        "answer": record.answer,
        "intent": record.intent,
        "not_understood": record.not_understood,
        "fallbacks": record.provenance.planner.fallbacks,
    }


def both(words: str, holds: Sequence[str]) -> tuple[RunRecord, RunRecord]:
    """Return what comes of a request by the rules, and by a model that understands the same."""

    async def run() -> tuple[RunRecord, RunRecord]:
        rules = await answered(words, holds, PlansByModel(MllmPlanner(SaysMllm({}))), "rules")
        model = PlansByModel(MllmPlanner(SaysMllm(reply_for(words, rules))))
        return rules, await answered(words, holds, model, "gemini")

    return asyncio.run(run())


@pytest.mark.parametrize(("words", "holds"), OWN)
def test_a_model_that_understands_what_the_rules_do_comes_to_the_same(
    words: str, holds: tuple[str, ...]
) -> None:
    rules, model = both(words, holds)
    assert outcome(model) == outcome(rules)


@pytest.mark.parametrize("part", range(8))
def test_so_it_is_with_every_request_that_was_written_down(part: int) -> None:
    # A request that is refused, or fails, ends the test: none is passed over.
    differing = [
        words
        for words, holds in written()[part::8]
        if len({repr(outcome(record)) for record in both(words, holds)}) > 1
    ]
    assert differing == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("words", "holds"), OWN[::6])
def test_so_it_is_over_the_wire(
    words: str, holds: tuple[str, ...], kind: Literal["gemini", "openai"]
) -> None:
    rules, _ = both(words, holds)

    async def run(url: str) -> RunRecord:
        mllm = build_mllm(
            kind,
            model="model",
            api_key=SecretStr("key"),
            base_url=url if kind == "gemini" else f"{url}/v1",
            retries=0,
        )
        try:
            planner = PlansByModel(MllmPlanner(mllm))
            return await answered(words, holds, planner, "gemini")
        finally:
            await mllm.aclose()

    with loopback(says(reply_for(words, rules))) as server:
        assert outcome(asyncio.run(run(server.url))) == outcome(rules)
