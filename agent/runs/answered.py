"""Puts the answer to a request's questions into its record."""

import asyncio
import logging

from agent.answers.answer import answer_questions
from agent.answers.earlier import earlier_results
from agent.answers.findings import Findings
from agent.language.lexicon import load_lexicon
from agent.language.modality import UNKNOWN, known_modality
from agent.loop.context import RunContext
from agent.schemas.runs import RunRecord, ThreadRecord
from segmenter.errors import ImageTooLarge, MemoryBusy
from segmenter.memory_budget import MEASURING, WorkingMemory, measuring_bytes

logger = logging.getLogger(__name__)

NO_ROOM = "The questions were not answered: there is no memory for it now; ask again."


async def answered(
    run: RunRecord, context: RunContext, thread: ThreadRecord, memory: WorkingMemory
) -> RunRecord:
    """Return a run's record with the answer to its questions.

    Args:
        run: as it ended.
        context: of the run.
        thread: before it.
        memory: that measuring masks against each other takes.
    """
    if run.intent is None or not run.intent.questions:
        return run
    findings = findings_of(run, context, thread)
    room = measuring_bytes(run.image.width * run.image.height)
    try:
        async with memory.hold(room, what=MEASURING):
            answer = await asyncio.to_thread(answer_questions, run.intent, findings)
    except (ImageTooLarge, MemoryBusy) as error:
        logger.warning(
            "questions are not answered", extra={"run": run.id, "error": type(error).__name__}
        )
        answer = NO_ROOM
    return run.model_copy(update={"answer": answer})


def findings_of(run: RunRecord, context: RunContext, thread: ThreadRecord) -> Findings:
    """Return what a run's answers are made of."""
    planned = run.plan.targets if run.plan else ()
    modality = known_modality(run.plan.modality if run.plan else UNKNOWN, context.opening.modality)
    can = context.capabilities
    return Findings(
        image=run.image,
        lexicon=load_lexicon(),
        targets=run.targets,
        worked=frozenset(target.id for target in planned),
        earlier=earlier_results(thread, run.targets),
        rounds=run.rounds,
        requests=(*thread.requests, run.request),
        modality=modality,
        concepts=() if can is None else can.concepts,
        spoken=context.opening.spoken or thread.spoken,
        sources={
            one.id: one.derived_from
            for one in context.candidates.values()
            if one.derived_from is not None
        },
    )
