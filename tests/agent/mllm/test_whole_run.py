"""A whole run: the agent, the model planner, both real SDKs, a scripted server, a scripted tool."""

import asyncio
import re

import pytest
from pydantic import SecretStr

from agent.mllm.factory import build_mllm
from agent.planners.mllm import MllmPlanner
from agent.schemas.rounds import Status
from agent.schemas.runs import RunRecord
from agent.service import AgentContext, AgentService
from tests.agent.doubles import (
    MemoryImages,
    MemoryRecords,
    ScriptedSegmenter,
    found,
    picture,
    request,
    square,
)
from tests.agent.loopback import Loopback, Received, Step, loopback, says


def clinician(received: Received) -> Step:
    """Plan a boxed polyp, accept what is shown, prefer the first of two."""
    if "Write the plan." in received.words:
        key = "box_2d" if received.is_gemini else "bbox_2d"
        box = [250, 250, 750, 750] if received.is_gemini else [192, 192, 576, 576]
        return says(
            {
                "decision": "segment",
                "modality": "endoscopy",
                "targets": [{"label": "polyp", "count": "one", "where": None}],
                "calls": [{"target": 1, "concept": "polyp", key: box, "avoid": []}],
                "note": None,
            }
        )(received)
    labels = re.findall(r"^(M\w+) \(", received.words, re.MULTILINE)
    verdict = {"verdict": "accept", "issue": "none", "better_than_incumbent": "yes"}
    return says(
        {
            "masks": [{"id": label, **verdict} for label in labels],
            "complete": [1],
            "missing": None,
            "next": "stop",
            "calls": [],
        }
    )(received)


def run(server: Loopback, wire: str) -> tuple[RunRecord, ScriptedSegmenter]:
    async def go() -> tuple[RunRecord, ScriptedSegmenter]:
        mllm = build_mllm(
            "gemini" if wire == "gemini" else "openai",
            model="model",
            api_key=SecretStr("key"),
            base_url=server.url if wire == "gemini" else f"{server.url}/v1",
            retries=0,
        )
        tool = ScriptedSegmenter({"polyp": found(square(16, 16, 48, 48))})
        context = AgentContext(
            segmenter=tool,
            images=MemoryImages(picture()),
            records=MemoryRecords(),
            planners={wire: MllmPlanner(mllm)},
            default_planner=wire,
        )
        try:
            return await AgentService(context).run(request()), tool
        finally:
            await mllm.aclose()

    return asyncio.run(go())


@pytest.mark.parametrize("wire", ["gemini", "openai"])
def test_a_run_goes_from_words_to_an_accepted_outline(wire: str) -> None:
    with loopback(clinician) as server:
        record, tool = run(server, wire)
    assert record.status is Status.FOUND
    assert record.provenance.planner.kind == wire
    assert record.provenance.planner.fallbacks == ()
    assert record.provenance.usage.calls == len(server.received) == 2
    boxes = [box.box.as_tuple() for prompt in tool.requests[0].prompts for box in prompt.boxes]
    assert pytest.approx((16, 16, 48, 48)) in boxes


@pytest.mark.parametrize("wire", ["gemini", "openai"])
def test_a_run_whose_model_is_down_is_finished_by_the_rules(wire: str) -> None:
    with loopback(Step(status=500)) as server:
        record, _ = run(server, wire)
    assert record.status in {Status.FOUND, Status.UNCERTAIN}
    assert record.targets[0].masks
    assert record.provenance.planner.fallbacks
