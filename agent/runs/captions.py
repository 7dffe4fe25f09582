"""What stands beside the masks of a run on its pictures: ids, states, measures. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence

from agent.drawing.dashes import Line
from agent.drawing.overlay import LabelledMask
from agent.drawing.tiles import Tile
from agent.schemas.plan import Call
from agent.schemas.rounds import Candidate, Issue, Round, Status, Verdict
from agent.schemas.runs import ResultMask, RunRecord
from segmenter.contract import RgbImage
from segmenter.masks.rle import decode

# More masks than these are counted in a tile's heading, not listed.
MAX_LISTED = 4
_LINES: dict[str, Line] = {"accept": "solid", "partial": "dashed", "reject": "dotted"}
_WORDS = {"accept": "accepted", "partial": "partial", "reject": "rejected"}
UNJUDGED = "not judged"


def result_masks(run: RunRecord) -> list[LabelledMask]:
    """Return the masks that a run returns, as they are drawn."""
    return [
        LabelledMask(
            label=f"{mask.candidate.id} {mask.label}",
            mask=decode(mask.candidate.mask.rle),
            detail=", ".join(part for part in (state, size_of(mask)) if part),
            line=line,
        )
        for result in run.targets
        for mask in result.masks
        for state, line in [state_of(mask, result.status)]
    ]


def state_of(mask: ResultMask, status: Status) -> tuple[str, Line]:
    """Return the word for a mask that is not simply accepted, else "", and the line it has."""
    if mask.verdict == "reject":
        return "rejected", "dotted"
    if mask.verdict == "accept" and mask.by == "client":
        return "", "solid"
    if status is Status.UNCERTAIN:
        return "uncertain", "dashed"
    return ("partial", "dashed") if mask.verdict == "partial" else ("", "solid")


def size_of(mask: ResultMask) -> str:
    """Return the area of a mask: in square millimetres only where the pixel size is known."""
    if mask.area_mm2 is not None:
        return f"{mask.area_mm2:.4g} mm2"
    return f"{mask.candidate.mask.area_px} px"


def round_title(run: RunRecord, done: Round) -> str:
    """Say which round it was, who judged it, and what stood after it."""
    judge = "rules" if done.planner == "rules" else "the model"
    title = f"round {done.number} of {len(run.rounds)}, judged by {judge}"
    stands = {win.target: win for win in done.wins}
    labels = {target.id: target.label for target in (run.plan.targets if run.plan else ())}
    won = [
        f"{labels.get(name, name)} {' '.join(win.new)}{f' ({win.note})' if win.note else ''}"
        for name, win in stands.items()
    ]
    return f"{title}; now stands: {', '.join(won)}" if won else f"{title}; nothing new stands"


def round_tiles(run: RunRecord, done: Round, pixels: RgbImage) -> list[Tile]:
    """Return a tile for each call of a round: what was asked, all it gave and each verdict.

    Args:
        run: that the round is of.
        done: the round.
        pixels: uint8, shape (H, W, 3), RGB, the run's image.
    """
    verdicts = {verdict.candidate: verdict for verdict in done.inspection.verdicts}
    return [
        _tile(call, _given(run, done, place), verdicts, pixels, done.reasons[place])
        for place, call in enumerate(done.calls)
    ]


def _given(run: RunRecord, done: Round, place: int) -> list[Candidate]:
    """Return what a call gave: the pieces of a mask that was cut up, else the mask."""
    mine = [
        candidate
        for candidate in run.candidates
        if candidate.id in done.candidates and candidate.call == place
    ]
    cut_up = {candidate.derived_from for candidate in mine}
    return [candidate for candidate in mine if candidate.id not in cut_up]


def _tile(
    call: Call,
    given: Sequence[Candidate],
    verdicts: Mapping[str, Verdict],
    pixels: RgbImage,
    reason: str,
) -> Tile:
    masks = tuple(_judged(candidate, verdicts.get(candidate.id)) for candidate in given)
    box = next((prompt.box for prompt in call.boxes if prompt.label == "positive"), None)
    listed = [f"{mask.label} {mask.detail}" for mask in masks]
    counted = Counter(mask.detail for mask in masks)
    words = listed if len(masks) <= MAX_LISTED else [f"{n} {word}" for word, n in counted.items()]
    asked = " and ".join(part for part in (call.concept, "a box" if call.boxes else None) if part)
    return Tile(pixels, masks, f"asked: {asked}", remark=", ".join(words) or reason, box=box)


def _judged(candidate: Candidate, verdict: Verdict | None) -> LabelledMask:
    word = _WORDS[verdict.verdict] if verdict else UNJUDGED
    issue = verdict.issue if verdict else Issue.NONE
    said = word if issue is Issue.NONE else f"{word}: {issue.value.replace('_', ' ')}"
    line = _LINES[verdict.verdict] if verdict else "dashed"
    return LabelledMask(candidate.id, decode(candidate.mask.rle), detail=said, line=line)
