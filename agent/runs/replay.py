"""A run played again from its record: no model, no tool, no network, and the same masks."""

from collections.abc import Sequence
from typing import cast

from agent.contract import Planner
from agent.conversation.follow_up import open_thread
from agent.errors import RecordingGap
from agent.language.lexicon import load_lexicon
from agent.loop.context import RunContext, Tools
from agent.loop.graph import walk
from agent.loop.state import AgentState
from agent.planners.rules import RulesPlanner
from agent.runs.answered import answered
from agent.runs.log import AnswerLog, LoggedAnswer, RunStart
from agent.runs.recorded import RecordedPlanner, RecordedSegmenter
from agent.runs.result import to_record
from agent.schemas.runs import RunRecord, TargetResult
from agent.settings import AgentSettings
from segmenter.contract import Frozen, ImageRef, ImageStore, RgbImage, Segmenter
from segmenter.memory_budget import PLENTY_BYTES, WorkingMemory


class Recording(Frozen):
    """All that a run was made of, its image aside.

    Attributes:
        start: request, thread before the run, budget.
        lines: every answer of the planner's model and of the tool.
        run: how it ended.
    """

    start: RunStart
    lines: tuple[LoggedAnswer, ...]
    run: RunRecord


async def replay(recording: Recording, pixels: RgbImage) -> RunRecord:
    """Walk the loop again over the recorded answers.

    Args:
        recording: of a run that ended by itself.
        pixels: of its image, uint8, shape (H, W, 3), RGB.

    Raises:
        RecordingGap: the loop now asks what it did not ask then.
    """
    start, run = recording.start, recording.run
    if start.thread is None:
        raise RecordingGap("the run ended before its turn came")
    answers = AnswerLog(recording.lines)
    # A recording answers or raises, so nobody stands behind it.
    nobody, no_tool = cast(Planner, run.provenance.planner), cast(Segmenter, None)
    rules = RulesPlanner()
    settings = AgentSettings(prompts_version=run.provenance.prompts_version)
    run_context = RunContext(
        run_id=start.run_id,
        request=start.request,
        image=start.thread.image,
        thread=start.thread,
        opening=open_thread(start.request, start.thread, load_lexicon()),
        planner=rules if nobody.kind == "rules" else RecordedPlanner(nobody, answers),
        tools=Tools(
            segmenter=RecordedSegmenter(no_tool, answers),
            images=cast(ImageStore, _OneImage(pixels)),
            rules=rules,
            settings=settings,
            clock=answers.seconds,
        ),
        budget=start.budget,
    )
    state: AgentState = {}
    async for step in walk(run_context):
        state = step
    again = to_record(state, run_context, thread=start.thread, created_at=start.created_at)
    return await answered(again, run_context, start.thread, WorkingMemory(PLENTY_BYTES))


def differences(recorded: RunRecord, replayed: RunRecord) -> list[str]:
    """Say in what a replay differs from what was recorded; [] for nothing."""
    found = [
        f"{name}: {before} was recorded, {after} came out"
        for name, before, after in (
            ("status", recorded.status, replayed.status),
            ("rounds", len(recorded.rounds), len(replayed.rounds)),
            ("targets", _ids(recorded.targets), _ids(replayed.targets)),
        )
        if before != after
    ]
    for number, (old, new) in enumerate(
        zip(recorded.rounds, replayed.rounds, strict=False), start=1
    ):
        if old != new:
            found.append(f"round {number}: its calls, verdicts or wins differ")
    for was, now in zip(recorded.targets, replayed.targets, strict=False):
        if [mask.candidate for mask in was.masks] != [mask.candidate for mask in now.masks]:
            found.append(f"{was.target.id}: its masks differ")
    return found


def _ids(targets: Sequence[TargetResult]) -> list[tuple[str, str]]:
    return [(result.target.id, result.status.value) for result in targets]


class _OneImage:
    """Holds the run's image."""

    def __init__(self, pixels: RgbImage) -> None:
        self._pixels = pixels

    async def pixels(self, image: ImageRef) -> RgbImage:
        return self._pixels
