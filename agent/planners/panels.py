"""Which outlines a judge is shown, under which labels, in which order. Pure."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from agent.contract import RoundView
from agent.drawing.colours import colour_name
from agent.drawing.overlay import LabelledMask
from agent.drawing.sheets import MAX_PANELS, Panel
from agent.policy.calls import in_turns
from agent.schemas.rounds import Candidate
from segmenter.contract import BinaryMask, Box
from segmenter.masks.geometry import mask_box

INCUMBENT = "M0"


@dataclass(frozen=True)
class ShownPanel:
    """One panel, as it is drawn and as it is told.

    Attributes:
        candidates: ids of the candidates whose outlines it shows.
        score: best joint score of its candidates, [0, 1].
        colour: name of the colour it is drawn in.
        box: around all its outlines, or None.
        area_share: share of the image, [0, 1].
        asked: the box that went with its call, as it was understood, or None.
    """

    label: str
    target: str
    candidates: tuple[str, ...]
    concept: str | None
    incumbent: bool
    score: float
    masks: tuple[BinaryMask, ...]
    colour: str
    box: Box | None
    area_share: float
    asked: Box | None


class _Group(NamedTuple):
    """Candidates that share a panel, the best of them first, and the box they were asked with."""

    label: str
    members: Sequence[Candidate]
    incumbent: bool = False
    asked: Box | None = None


def panel_label(candidate: str) -> str:
    """Return the label under which a candidate is shown."""
    return candidate.upper()


def choose_panels(view: RoundView) -> tuple[ShownPanel, ...]:
    """Choose at most `MAX_PANELS`: the incumbents first, then the best others, shuffled by seed.

    Each candidate has its own panel while there is room; else the masks of one call share one,
    under the label of the best of them.
    """
    standing = _incumbents(view)[: MAX_PANELS - 1]
    shown = {member.id for group in standing for member in group.members}
    others = _others(view, shown, MAX_PANELS - len(standing))
    # Not for secrecy: the order must be the same when a run is repeated.
    random.Random(view.seed * 31 + view.number).shuffle(others)
    return tuple(_panel(view, group, place) for place, group in enumerate([*standing, *others]))


def comparison_panels(
    view: RoundView, first: Sequence[str], second: Sequence[str]
) -> tuple[ShownPanel, ShownPanel]:
    """Return the panels A (the first set) and B (the second)."""
    groups = _Group("A", _members(view, first)), _Group("B", _members(view, second))
    return _panel(view, groups[0], 0), _panel(view, groups[1], 1)


def to_sheet(panels: Sequence[ShownPanel]) -> list[Panel]:
    """Return what `agent.drawing.sheets.draw_sheet` draws."""
    return [Panel(panel.label, panel.masks, box=panel.asked) for panel in panels]


def to_crops(panels: Sequence[ShownPanel]) -> list[LabelledMask]:
    """Return what `agent.drawing.sheets.draw_crops` draws."""
    return [LabelledMask(panel.label, _union(panel.masks)) for panel in panels if panel.masks]


def _members(view: RoundView, ids: Sequence[str]) -> list[Candidate]:
    known = {candidate.id: candidate for candidate in view.candidates if candidate.id in view.masks}
    return [known[name] for name in ids if name in known]


def _incumbents(view: RoundView) -> list[_Group]:
    """Return a group per target that has an incumbent: M0, or M0a, M0b ... of several."""
    sets = [members for ids in view.incumbents.values() if (members := _members(view, ids))]
    labels = [INCUMBENT] if len(sets) == 1 else [f"{INCUMBENT}{letter}" for letter in "abcdefgh"]
    return [
        _Group(label, members, incumbent=True) for label, members in zip(labels, sets, strict=False)
    ]


def _others(view: RoundView, shown: Collection[str], room: int) -> list[_Group]:
    """Return what the round found, the best of every target before any target's second."""
    fresh = [
        candidate
        for candidate in view.candidates
        if candidate.id in view.masks
        and candidate.round == view.number
        and candidate.id not in shown
    ]
    groups: dict[object, list[Candidate]] = {}
    for candidate in sorted(fresh, key=lambda candidate: -candidate.mask.joint):
        alone = len(fresh) <= room
        key = candidate.id if alone else (candidate.target, candidate.call)
        groups.setdefault(key, []).append(candidate)
    ordered = in_turns(groups.values(), lambda members: members[0].target)
    return [
        _Group(panel_label(members[0].id), members, asked=_asked_box(members[0], view))
        for members in ordered[:room]
    ]


def _panel(view: RoundView, group: _Group, place: int) -> ShownPanel:
    """Describe the panel that shows a group at a place."""
    members = group.members
    masks = tuple(view.masks[candidate.id] for candidate in members)
    covered = _union(masks) if masks else None
    return ShownPanel(
        label=group.label,
        target=members[0].target if members else "",
        candidates=tuple(candidate.id for candidate in members),
        concept=members[0].concept if members else None,
        incumbent=group.incumbent,
        score=max((candidate.mask.joint for candidate in members), default=0.0),
        masks=masks,
        colour=colour_name(place),
        box=None if covered is None else mask_box(covered),
        area_share=0.0 if covered is None else float(covered.mean()),
        asked=group.asked,
    )


def _asked_box(candidate: Candidate, view: RoundView) -> Box | None:
    """Return the box that was given with a fresh candidate's call, as it was understood."""
    boxes = view.calls[candidate.call].boxes if candidate.call < len(view.calls) else ()
    return next((prompt.box for prompt in boxes if prompt.label == "positive"), None)


def _union(masks: Sequence[BinaryMask]) -> BinaryMask:
    return np.asarray(np.logical_or.reduce(masks), dtype=np.bool_)
