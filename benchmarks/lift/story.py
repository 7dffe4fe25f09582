"""How a run went, in one picture: the planned box, the rounds, what was returned, the truth."""

from collections.abc import Sequence

import numpy as np

from agent.drawing.sheets import Panel, draw_sheet
from agent.schemas.rounds import Candidate, Round
from agent.schemas.runs import RunRecord
from segmenter.contract import BinaryMask, Box, RgbImage
from segmenter.masks import rle

# The plan, three rounds, the result, the truth: what a sheet has room for.
MAX_ROUNDS_SHOWN = 3


def draw_story(pixels: RgbImage, run: RunRecord, truth: BinaryMask) -> bytes:
    """Return a PNG.

    Args:
        pixels: of the image, uint8, shape (H, W, 3), RGB.
        run: on it.
        truth: bool, shape (H, W).
    """
    nothing = np.zeros_like(truth)
    panels = [Panel("plan", (nothing,), box=_planned_box(run))]
    for done in run.rounds[:MAX_ROUNDS_SHOWN]:
        mine = [candidate for candidate in run.candidates if candidate.id in done.candidates]
        panels.append(Panel(f"round {done.number}", _masks(_shown(mine, done))))
    final = [mask.candidate for target in run.targets for mask in target.masks]
    panels += [Panel("final", _masks(final)), Panel("truth", (truth,))]
    return draw_sheet(pixels, panels)


def interest(run: RunRecord, gain: float) -> tuple[int, float]:
    """Rank runs for showing: those that changed their mind first, then by what it gained."""
    swaps = sum(bool(win.old) for done in run.rounds for win in done.wins)
    return min(swaps, 1) + (len(run.rounds) > 1), gain


def _shown(candidates: Sequence[Candidate], done: Round) -> list[Candidate]:
    """Return what a round gave, best judged first; a sheet shows a few contours well."""
    words = {verdict.candidate: verdict.verdict for verdict in done.inspection.verdicts}
    order = {"accept": 0, "partial": 1}
    whole = [candidate for candidate in candidates if candidate.derived_from is None]
    return sorted(whole, key=lambda candidate: order.get(words.get(candidate.id, ""), 2))[:4]


def _planned_box(run: RunRecord) -> Box | None:
    calls = [call for done in run.rounds for call in done.calls]
    boxes = [prompt.box for call in calls for prompt in call.boxes if prompt.label == "positive"]
    return next(iter(boxes), None)


def _masks(candidates: Sequence[Candidate]) -> tuple[BinaryMask, ...]:
    return tuple(rle.decode(candidate.mask.rle) for candidate in candidates)
