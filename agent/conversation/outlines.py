"""Edits of the outlines that stand: a new mask each time, and how much it changed."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from agent.conversation.choosing import choose, nothing_there, standing_ids
from agent.conversation.standing import (
    Standing,
    derive,
    meant_targets,
    named_targets,
    pieces_of,
    show,
)
from agent.masks import edits
from agent.masks.selection import MAX_PIECES, left_out
from agent.schemas.intent import Act, Operation
from agent.schemas.runs import ResultMask
from segmenter.contract import BinaryMask
from segmenter.masks.geometry import unite

Edit = Callable[[BinaryMask], BinaryMask]

_TIDY: Mapping[Act, tuple[str, Edit]] = {
    "smooth": ("smoothed", edits.smooth),
    "fill": ("holes filled", edits.fill),
    "despeckle": ("specks removed", edits.despeckle),
}
_MM_PER: Mapping[str, float] = {"mm": 1.0, "cm": 10.0}


def edit_masks(operation: Operation, standing: Standing) -> None:
    """Edit the masks an operation is about: those it names, else those of what it means."""
    keys = [key for key in meant_targets(operation, standing) if standing.targets[key].masks]
    chosen: dict[str, list[ResultMask]] = {}
    if operation.masks:
        ids = set(standing_ids(operation.masks, standing))
        masks = {
            key: [one for one in result.masks if one.candidate.id in ids]
            for key, result in standing.targets.items()
        }
        chosen = {key: ones for key, ones in masks.items() if ones}
        keys = list(chosen)
    if not keys:
        if not operation.masks:
            standing.notes.append(nothing_there(operation, standing))
    elif operation.act in _OF_TARGETS:
        _OF_TARGETS[operation.act](operation, keys, standing)
    else:
        if not chosen:
            found = choose(keys, operation, standing)
            chosen = {key: list(masks.values()) for key, masks in found.items()}
        _edit_outlines(operation, chosen, standing)


def _edit_outlines(
    operation: Operation, chosen: Mapping[str, list[ResultMask]], standing: Standing
) -> None:
    """Edit the chosen masks of each target; the target's others stay as they are."""
    for key, masks in chosen.items():
        standing.touched.append(key)
        for mask in masks:
            _edit(operation, key, mask, standing)


def _edit(operation: Operation, key: str, mask: ResultMask, standing: Standing) -> None:
    label = standing.label(key)
    before = standing.mask(mask.candidate.id)
    done, edit = _edit_of(operation, before, standing)
    if edit is None:
        standing.notes.append(f"{label} was not changed: {done}")
        return
    after = edit(before)
    if not after.any():
        standing.notes.append(f"{label} was not changed: {done}, nothing of it would be left")
        return
    if np.array_equal(before, after):
        standing.notes.append(f"{label}: {done}, which changes no pixel")
        return
    made = derive(mask, after, standing)
    _replace(key, mask, made, standing)
    sizes = f"{int(before.sum()):,} -> {int(after.sum()):,} px"
    standing.notes.append(f"{label} {done}: {sizes}")


def _edit_of(
    operation: Operation, before: BinaryMask, standing: Standing
) -> tuple[str, Edit | None]:
    """Return what an operation does in words and as a function, None where it cannot be done."""
    if operation.act in _TIDY:
        return _TIDY[operation.act]
    larger = operation.act in ("grow", "bigger")
    word = "grown" if larger else "shrunk"
    amount, unit = operation.amount, operation.unit or "px"
    if amount is None:
        amount, unit = float(edits.default_step_px(before)), "px"
        word += " by the usual step,"
    if unit == "percent":
        share = edits.grow_by_share if larger else edits.shrink_by_share
        return f"{word} by {amount:g} % of its area", partial(share, share=amount / 100)
    sampling = edits.PIXELS if unit == "px" else edits.sampling_of(standing.image.spacing)
    said = f"{word} by {amount:g} {unit}".replace("step, by", "step,")
    if sampling is None:
        return (
            f"the pixel size of this image is not known, so {amount:g} {unit} means nothing",
            None,
        )
    distance = amount * _MM_PER.get(unit, 1.0)
    move = edits.grow if larger else edits.shrink
    return said, partial(move, distance=distance, sampling=sampling)


def _replace(key: str, old: ResultMask, new: ResultMask, standing: Standing) -> None:
    """Let a mask stand in place of another one; the target's others stay."""
    masks = standing.targets[key].masks
    show(key, [new if one.candidate.id == old.candidate.id else one for one in masks], standing)


def _split(_: Operation, keys: list[str], standing: Standing) -> None:
    """Give every object of these targets a mask of its own, those that touch too."""
    for key in keys:
        standing.touched.append(key)
        label = standing.label(key)
        masks = standing.targets[key].masks
        pieces = pieces_of(key, standing, touching=True)
        if len(pieces) == len(masks):
            standing.notes.append(f"{label}: nothing to split, every object has its own mask")
            continue
        over = max(0, len(pieces) - MAX_PIECES) + sum(
            left_out(standing.mask(mask.candidate.id), touching=True) for mask in masks
        )
        show(key, pieces[:MAX_PIECES], standing)
        rest = f"; {over} smaller ones were left out" if over else ""
        standing.notes.append(f"{label} split into {len(pieces[:MAX_PIECES])} masks{rest}")


def _merge(_: Operation, keys: list[str], standing: Standing) -> None:
    """Make one mask of all masks of these targets; it stands for the first of them."""
    masks = [mask for key in keys for mask in standing.targets[key].masks]
    if len(masks) < 2:
        standing.notes.append("nothing to merge: there is only one mask")
        return
    labels = " and ".join(standing.label(key) for key in keys)
    shape = (standing.image.height, standing.image.width)
    union = unite((standing.mask(mask.candidate.id) for mask in masks), shape)
    show(keys[0], [derive(masks[0], union, standing)], standing)
    for key in keys[1:]:
        del standing.targets[key]
    standing.touched.append(keys[0])
    standing.notes.append(f"merged {len(masks)} masks of {labels} into one")


def _take_from(keys: list[str], minus: list[str], standing: Standing) -> None:
    """Take what the masks of some targets cover away from those of others."""
    shape = (standing.image.height, standing.image.width)
    taken = [mask for key in minus for mask in standing.targets[key].masks]
    names = " and ".join(standing.label(key) for key in minus)
    away = unite((standing.mask(mask.candidate.id) for mask in taken), shape)
    for key in keys:
        standing.touched.append(key)
        for mask in standing.targets[key].masks:
            before = standing.mask(mask.candidate.id)
            left = before & ~away
            label = standing.label(key)
            if not left.any() or np.array_equal(left, before):
                why = "nothing would be left" if not left.any() else "they share no pixel"
                standing.notes.append(f"{label} was not changed: without {names} {why}")
                continue
            made = derive(mask, left, standing)
            _replace(key, mask, made, standing)
            sizes = f"{int(before.sum()):,} -> {int(left.sum()):,} px"
            standing.notes.append(f"{label} without {names}: {sizes}")


def _subtract(operation: Operation, keys: list[str], standing: Standing) -> None:
    minus = [key for key in named_targets(operation.minus, standing) if key not in keys]
    minus = [key for key in minus if standing.targets[key].masks]
    if minus:
        _take_from(keys, minus, standing)
    else:
        names = " and ".join(thing.words for thing in operation.minus) or "nothing"
        looked = (standing.targets[key] for key in named_targets(operation.minus, standing))
        why = next((one.reason for one in looked if not one.masks and one.reason), "")
        reason = why or f"no {names} is outlined"
        standing.notes.append(f"nothing was subtracted: {reason}")


_OF_TARGETS: Mapping[Act, Callable[[Operation, list[str], Standing], None]] = {
    "split": _split,
    "merge": _merge,
    "subtract": _subtract,
}
