"""A run in lines for a person."""

from collections.abc import Iterator

from api.cli.output import describe_mask
from api.schemas.run_answers import RunAnswer


def describe_run(answer: RunAnswer) -> Iterator[str]:
    """Yield which masks there are, and what a run says beside them.

    That is its answer to a question, its message, whose side it took, what was not understood, and
    why the rules took over from an MLLM.
    """
    for target in answer.targets:
        yield f"{target.label}: {target.status}"
        yield from map(describe_mask, target.masks)
    said = answer.error or answer.message
    if answer.answer and answer.answer not in said:
        yield answer.answer
    yield said
    if answer.plan and answer.plan.note and answer.plan.note not in said:
        yield f"note: {answer.plan.note}"
    if answer.not_understood and not all(part in said for part in answer.not_understood):
        yield "not understood: " + "; ".join(f'"{part}"' for part in answer.not_understood)
    planner = answer.provenance.planner
    for fallback in planner.fallbacks if planner else ():
        yield f"the rules took over: {fallback}"
