"""Which outlines a judge is shown, under which labels, in which order. Pure."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from agent.contract import RoundView
from agent.drawing.overlay import MAX_PANELS, LabelledMask, Panel, colour_name
from agent.schemas.rounds import Candidate
from segmenter.contract import BinaryMask, Box
from segmenter.masks.geometry import mask_box

INCUMBENT = "M0"


@dataclass(frozen=True)
class ShownPanel:
    """One panel, as it is drawn and as it is told.

    Attributes:
        candidates: ids of the candidates whose outlines it shows.
        colour: name of the colour it is drawn in.
        box: around all its outlines, or None.
        area_share: share of the image, [0, 1].
        score: best joint score of its candidates, [0, 1].
        asked: the box that went with its call, as it was understood, or None.
    """

    label: str
    target: str
    candidates: tuple[str, ...]
    concept: str | None
    incumbent: bool
    score: float
    masks: tuple[BinaryMask, ...]
    colour: str = ""
    box: Box | None = None
    area_share: float = 0.0
    asked: Box | None = None


def panel_label(candidate: str) -> str:
    """Return the label under which a candidate is shown."""
    return candidate.upper()


def choose_panels(view: RoundView) -> tuple[ShownPanel, ...]:
    """Choose at most `MAX_PANELS`: the incumbents first, then the best others, shuffled by seed.

    Each candidate has its own panel while there is room; else the masks of one call share one,
    under the label of the best of them.
    """
    known = {one.id: one for one in view.candidates if one.id in view.masks}
    standing = _incumbents(view, known)[: MAX_PANELS - 1]
    shown = {name for panel in standing for name in panel.candidates}
    fresh = [one for one in known.values() if one.round == view.number and one.id not in shown]
    others = _others(fresh, view.masks, MAX_PANELS - len(standing))
    # Not for secrecy: the order must be the same when a run is repeated.
    random.Random(view.seed * 31 + view.number).shuffle(others)
    asked = [replace(panel, asked=_asked_box(panel, view)) for panel in others]
    return tuple(_finished(panel, place) for place, panel in enumerate([*standing, *asked]))


def comparison_panels(
    view: RoundView, first: Sequence[str], second: Sequence[str]
) -> tuple[ShownPanel, ShownPanel]:
    """Return the panels A (the first set) and B (the second)."""
    known = {one.id: one for one in view.candidates if one.id in view.masks}
    one, two = (
        _panel(label, [known[name] for name in names if name in known], view.masks)
        for label, names in (("A", first), ("B", second))
    )
    return _finished(one, 0), _finished(two, 1)


def to_sheet(panels: Sequence[ShownPanel]) -> list[Panel]:
    """Return what `agent.drawing.overlay.draw_sheet` draws."""
    return [Panel(panel.label, panel.masks, box=panel.asked) for panel in panels]


def to_crops(panels: Sequence[ShownPanel]) -> list[LabelledMask]:
    """Return what `agent.drawing.overlay.draw_crops` draws."""
    return [LabelledMask(panel.label, _union(panel.masks)) for panel in panels if panel.masks]


def _incumbents(view: RoundView, known: Mapping[str, Candidate]) -> list[ShownPanel]:
    """Return a panel per target that has an incumbent: M0, or M0a, M0b ... of several."""
    sets = [[known[name] for name in names if name in known] for names in view.incumbents.values()]
    sets = [members for members in sets if members]
    labels = [INCUMBENT] if len(sets) == 1 else [f"{INCUMBENT}{letter}" for letter in "abcdefgh"]
    return [
        _panel(label, members, view.masks, incumbent=True)
        for label, members in zip(labels, sets, strict=False)
    ]


def _others(
    fresh: Sequence[Candidate], masks: Mapping[str, BinaryMask], room: int
) -> list[ShownPanel]:
    groups: dict[object, list[Candidate]] = {}
    for one in sorted(fresh, key=lambda one: -one.mask.joint):
        key = one.id if len(fresh) <= room else (one.target, one.call)
        groups.setdefault(key, []).append(one)
    panels = [_panel(panel_label(group[0].id), group, masks) for group in groups.values()]
    return _turns(panels)[:room]


def _turns(panels: Sequence[ShownPanel]) -> list[ShownPanel]:
    """Order panels so that every target has its best one before any has its second."""
    seen: dict[str, int] = {}
    ranked: list[tuple[int, int, ShownPanel]] = []
    for place, panel in enumerate(panels):
        turn = seen.get(panel.target, 0)
        seen[panel.target] = turn + 1
        ranked.append((turn, place, panel))
    return [panel for _, _, panel in sorted(ranked, key=lambda item: item[:2])]


def _asked_box(panel: ShownPanel, view: RoundView) -> Box | None:
    """Return the box that was given with a panel's call, as it was understood."""
    known = {one.id: one for one in view.candidates}
    one = known[panel.candidates[0]] if panel.candidates else None
    if one is None or one.round != view.number or one.call >= len(view.calls):
        return None
    boxes = view.calls[one.call].boxes
    return next((prompt.box for prompt in boxes if prompt.label == "positive"), None)


def _panel(
    label: str,
    members: Sequence[Candidate],
    masks: Mapping[str, BinaryMask],
    *,
    incumbent: bool = False,
) -> ShownPanel:
    best = members[0] if members else None
    return ShownPanel(
        label=label,
        target=best.target if best else "",
        candidates=tuple(one.id for one in members),
        concept=best.concept if best else None,
        incumbent=incumbent,
        score=max((one.mask.joint for one in members), default=0.0),
        masks=tuple(masks[one.id] for one in members),
    )


def _finished(panel: ShownPanel, place: int) -> ShownPanel:
    """Add what depends on the place, and what is told of the area."""
    covered = _union(panel.masks) if panel.masks else None
    return replace(
        panel,
        colour=colour_name(place),
        box=None if covered is None else mask_box(covered),
        area_share=0.0 if covered is None else float(covered.mean()),
    )


def _union(masks: Sequence[BinaryMask]) -> BinaryMask:
    return np.asarray(np.logical_or.reduce(masks), dtype=np.bool_)
