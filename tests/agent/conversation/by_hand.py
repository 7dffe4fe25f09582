"""A conversation whose requests are intents made by hand, so that no reader stands between."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from agent.conversation.follow_up import open_thread
from agent.language.lexicon import load_lexicon
from agent.loop.context import RunContext, Tools
from agent.loop.graph import walk
from agent.loop.state import AgentState
from agent.planners.rules import RulesPlanner
from agent.runs.result import to_record
from agent.runs.threads import append_run
from agent.schemas.intent import Act, Intent, Operation, Question, Thing, Topic, Which
from agent.schemas.runs import RunRecord, ThreadRecord
from agent.settings import AgentSettings, Budget
from segmenter.contract import BinaryMask, ImageRef, RgbImage, Segmenter
from segmenter.masks.geometry import unite
from segmenter.masks.rle import decode
from tests.agent.doubles import Clock, MemoryImages, ScriptedSegmenter, image_ref, request


def thing(words: str, *terms: str, **which: object) -> Thing:
    return Thing(words=words, terms=terms or (words,), which=Which.model_validate(which))


def find(*things: Thing, **more: object) -> Intent:
    return Intent.model_validate({"find": things, **more})


def do(act: Act, *things: Thing, find: Sequence[Thing] = (), **more: object) -> Intent:
    operation = Operation.model_validate({"act": act, "things": things, **more})
    return Intent(find=tuple(find), operations=(operation,))


def ask(topic: Topic, *things: Thing) -> Intent:
    return Intent(questions=(Question(topic=topic, things=things),))


class ByHand:
    """A thread about one image."""

    def __init__(
        self,
        segmenter: Segmenter,
        *,
        pixels: RgbImage | None = None,
        image: ImageRef | None = None,
    ) -> None:
        self.segmenter = segmenter
        self._images = MemoryImages(pixels)
        self.thread = ThreadRecord(
            id="thr_" + "0" * 32,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            image=image or image_ref(),
        )

    def say(self, intent: Intent, text: str = "by hand") -> RunRecord:
        return asyncio.run(self.hear(intent, text))

    async def hear(self, intent: Intent, text: str = "by hand") -> RunRecord:
        rules = RulesPlanner()
        asked = request(text, image=self.thread.image)
        context = RunContext(
            run_id=f"run_{len(self.thread.runs):032x}",
            request=asked,
            image=self.thread.image,
            thread=self.thread,
            opening=open_thread(asked, self.thread, load_lexicon(), intent),
            planner=rules,
            tools=Tools(
                segmenter=self.segmenter,
                images=self._images,
                rules=rules,
                settings=AgentSettings(),
                clock=Clock(),
            ),
            budget=Budget(seconds=120.0),
        )
        state: AgentState = {}
        async for step in walk(context):
            state = step
        run = to_record(state, context, thread=self.thread, created_at=self.thread.created_at)
        self.thread = append_run(
            self.thread,
            run,
            next_mask=context.next_mask,
            rejected=tuple(sorted(context.rejected)),
            spoken=context.opening.spoken,
        )
        return run

    @property
    def calls(self) -> int:
        assert isinstance(self.segmenter, ScriptedSegmenter)
        return len(self.segmenter.requests)


def shown(run: RunRecord) -> dict[str, list[int]]:
    """Areas of the masks by label, in pixels."""
    return {
        one.target.label: [mask.candidate.mask.area_px for mask in one.masks] for one in run.targets
    }


def covered(run: RunRecord, label: str) -> BinaryMask:
    (target,) = [one for one in run.targets if one.target.label == label]
    masks = [decode(mask.candidate.mask.rle) for mask in target.masks]
    return unite(masks, (run.image.height, run.image.width))
