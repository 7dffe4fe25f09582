"""A run in lines for a person."""

from collections.abc import Iterator

from api.cli.output import describe_mask
from api.schemas.run_answers import RunAnswer, TargetOut

# Of one target; more are no use to read on a terminal, and push the answer off it.
SHOWN_MASKS = 12


def describe_run(answer: RunAnswer) -> Iterator[str]:
    """Yield which masks there are, and what a run says beside them.

    That is its answer to a question, its message, whose side it took, what was not understood, and
    why the rules took over from an MLLM.
    """
    for target in answer.targets:
        yield f"{target.label}: {target.status}"
        yield from _describe_masks(target)
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


def _describe_masks(target: TargetOut) -> Iterator[str]:
    left = len(target.masks) - SHOWN_MASKS
    if left <= 0:
        yield from map(describe_mask, target.masks)
    else:
        ranked = sorted(target.masks, key=lambda mask: mask.area_px, reverse=True)
        yield from map(describe_mask, ranked[:SHOWN_MASKS])
        yield f"  and {left} smaller ones: --json prints them, --out DIR has them in measures.csv"
