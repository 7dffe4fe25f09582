"""Whether something is there, and how many of it. Never a diagnosis. Pure."""

from agent.answers.numbers import ratio
from agent.answers.sizes import together
from agent.answers.subjects import Subject, subjects_of
from agent.answers.told import NOT_ASKED, Asked, Told, not_outlined
from agent.schemas.rounds import Status

CAUTION = "an outline by a model, not a diagnosis"


def tell_presence(asked: Asked) -> list[Told]:
    """Say whether things were found, with how many masks, their area and score."""
    subjects = subjects_of(asked.question, asked.intent, asked.findings)
    return [_presence(subject) for subject in subjects] or [Told("Nothing was looked for.")]


def tell_count(asked: Asked) -> list[Told]:
    """Count masks; of a thing with one mask its separate pieces."""
    subjects = subjects_of(asked.question, asked.intent, asked.findings)
    return [_count(subject) for subject in subjects] or [Told("Nothing is outlined yet.")]


def _presence(subject: Subject) -> Told:
    if subject.masks:
        return _seen(subject)
    result, name = subject.result, subject.name
    if result is None:
        return Told(f"Cannot tell whether there is {name}: {subject.reason or NOT_ASKED}.")
    if result.status is Status.NOT_FOUND:
        return Told(f"No, looked for {name} and found none; that does not rule it out.")
    reason = subject.reason or "nothing that can be shown was found"
    return Told(f"Cannot tell whether there is {name}: {reason}.")


def _seen(subject: Subject) -> Told:
    masks = subject.masks
    many = f"{len(masks)} masks" if len(masks) > 1 else "1 mask"
    best = max(mask.item.candidate.mask.joint for mask in masks)
    score = f"score {ratio(best)}" + (" of the best" if len(masks) > 1 else "")
    said = f"{many}, {together(masks)}, {score}; {CAUTION}"
    if subject.is_uncertain:
        doubt = f" ({subject.reason})" if subject.reason else ""
        return Told(f"Uncertain whether there is {subject.name}{doubt}: {said}.", has_lengths=True)
    return Told(f"Yes, found {subject.name}: {said}.", has_lengths=True)


def _count(subject: Subject) -> Told:
    masks = subject.masks
    if not masks:
        result = subject.result
        if result is not None and result.status is Status.NOT_FOUND:
            return Told(f"{subject.name}: none, looked for and not found.")
        if result is not None and result.masks:
            return Told(f"{subject.name}: 0 counted, none of what is outlined fits.")
        return not_outlined(subject)
    doubt = ", uncertain" if subject.is_uncertain else ""
    is_cut = masks[0].is_piece
    if len(masks) > 1 and not is_cut:
        return Told(f"{subject.name}: {len(masks)} counted, one mask each{doubt}.")
    pieces, name = len(masks) if is_cut else masks[0].measures.pieces, masks[0].id
    how = f"separate pieces of mask {name}; those that touch count as one"
    return Told(f"{subject.name}: {pieces} counted, as {how}{doubt}.")
