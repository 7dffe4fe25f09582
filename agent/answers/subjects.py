"""What a question is about: masks by their ids, things by their names, or "it". Pure."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from agent.answers.chosen import OTHER, halves, image_side, on_side, pieces, placed, ranked
from agent.answers.findings import UNNAMED, Findings, Shown
from agent.language.lexicon import normalise
from agent.planners.sides import Frame
from agent.schemas.intent import ANY, Intent, Question, Thing, Which
from agent.schemas.rounds import Status
from agent.schemas.runs import TargetResult

# Of what was spoken of and is not there; only the run that looked for it knows more.
GONE = "nothing of it is outlined now"


class Subject(NamedTuple):
    """One thing that a question is about.

    Attributes:
        label: the term of the lexicon, or "".
        result: None for what no target stands for.
        masks: those meant; () for what is not outlined.
        reason: why the target ended as it did, "" where that would quote a model's words.
        frame: whose left and right are meant.
        where: the side of the picture, of what is named by a side.
    """

    name: str
    label: str
    result: TargetResult | None
    masks: tuple[Shown, ...]
    frame: Frame = "image"
    where: str = ""
    reason: str = ""

    @property
    def title(self) -> str:
        """The name, the masks, their side and pieces, and whether they are sure."""
        known = [self.where] if self.where else []
        if self.masks:
            ids = list(dict.fromkeys(mask.id for mask in self.masks))
            part = "part of " if all(mask.is_piece for mask in self.masks) else ""
            named = f"{part}{ids[0]}" if len(ids) == 1 else f"{len(ids)} masks"
            pieces = self.masks[0].measures.pieces if len(self.masks) == 1 else 1
            apart = [f"{pieces} pieces"] if pieces > 1 else []
            known = [named, *known, *apart, *(["uncertain"] if self.is_uncertain else [])]
        return f"{self.name} ({', '.join(known)})" if known else self.name

    @property
    def is_uncertain(self) -> bool:
        """Whether a person should look before anything is made of it."""
        return self.result is not None and self.result.status is not Status.FOUND


def subjects_of(question: Question, intent: Intent, findings: Findings) -> tuple[Subject, ...]:
    """Return what a question is about: what it names, else what the request finds, else "it"."""
    if question.masks:
        return tuple(_by_id(mask_id, findings) for mask_id in question.masks)
    things = question.things or intent.find
    if things:
        return tuple(subject for thing in things for subject in _named(thing, findings))
    which = question.which
    return tuple(_narrowed(subject, which, findings) for subject in _it(which, findings))


def _it(which: Which, findings: Findings) -> tuple[Subject, ...]:
    """Return what the run worked on, else what was spoken of last, else the latest target.

    "Both" of two things are both, whichever was spoken of.
    """
    shown = {result.target.id: result for result in findings.targets}
    if which.several and len(shown) > 1:
        return tuple(whole(result, findings) for result in shown.values())
    worked = [shown[key] for key in shown if key in findings.worked]
    if worked:
        return tuple(whole(result, findings) for result in worked)
    if findings.spoken:
        return tuple(
            whole(shown[target.id], findings)
            if target.id in shown
            else Subject(findings.name_of(target), "", None, (), reason=GONE)
            for target in findings.spoken
        )
    return tuple(whole(result, findings) for result in findings.targets[-1:])


def pair_of(question: Question, intent: Intent, findings: Findings) -> tuple[Subject, ...]:
    """Return what a question compares: at least two subjects, if there are as many.

    To one thing alone belongs what the request finds; without a name all that is shown is meant,
    or of one thing its masks, or the pieces of its only mask.
    """
    # "The largest" of all is told by comparing all.
    question = question.model_copy(update={"which": ANY})
    subjects = subjects_of(question, intent, findings)
    if len(subjects) == 1 and question.things:
        found = [subject for thing in intent.find for subject in _named(thing, findings)]
        subjects = (*subjects, *(one for one in found if one.label != subjects[0].label))
    if len(subjects) == 1 and not question.masks and not question.things and not intent.find:
        subjects = tuple(whole(result, findings) for result in findings.targets)
    return apart(subjects[0], findings) if len(subjects) == 1 else subjects


def apart(subject: Subject, findings: Findings) -> tuple[Subject, ...]:
    """Return a subject's masks, or what its only mask holds on either side, each as one."""
    ordered = sorted(subject.masks, key=lambda mask: -mask.measures.area_px)
    if len(ordered) == 1:
        ordered = list(halves(ordered[0], findings)[:2])
        sides = {mask.measures.image_side for mask in ordered}
        # Pieces have no ids: only their sides can tell them apart.
        ordered = ordered if sides == {"left", "right"} else []
    if len(ordered) < 2:
        return (subject,)
    return tuple(_one(subject, mask, ordered) for mask in ordered)


def whole(result: TargetResult, findings: Findings) -> Subject:
    """Return a target with all its masks."""
    masks = tuple(findings.shown(item) for item in result.masks)
    frame = findings.frame_of(result.target)
    terms = findings.lexicon.terms_of(normalise(result.target.label))
    label = terms[0].label if terms else ""
    reason = result.reason if findings.may_repeat(result.reason) else ""
    name = findings.name_of(result.target)
    return Subject(name, label, result, masks, frame, reason=reason)


def _one(subject: Subject, mask: Shown, masks: Sequence[Shown]) -> Subject:
    """Name one of several by its side, if the sides tell them apart."""
    side = mask.measures.image_side
    sides = [each.measures.image_side for each in masks]
    if side == "middle" or sides.count(side) > 1:
        return subject._replace(masks=(mask,))
    by_patient = subject.frame == "patient"
    whose = f"the patient's {OTHER[side]}" if by_patient else f"the image's {side}"
    where = f"on the image's {side}" if by_patient else ""
    return subject._replace(name=f"{subject.name} on {whose}", masks=(mask,), where=where)


def side_words(side: Literal["left", "right"], frame: Frame) -> str:
    """Say a side of the image, and whose it is where the picture has a convention."""
    if frame == "patient":
        return f"the patient's {OTHER[side]} (the image's {side})"
    return f"the image's {side}"


def _by_id(mask_id: str, findings: Findings) -> Subject:
    for result in findings.targets:
        ids = [item.candidate.id for item in result.masks]
        named = {mask_id} if mask_id in ids else set(findings.made_of(mask_id, ids))
        masks = [findings.shown(item) for item in result.masks if item.candidate.id in named]
        if masks:
            return whole(result, findings)._replace(masks=tuple(masks))
    return Subject(mask_id, "", None, ())


def _named(thing: Thing, findings: Findings) -> list[Subject]:
    names = {thing.words, *(" ".join(normalise(term)) for term in thing.terms)}
    found = [
        _narrowed(whole(result, findings), thing.which, findings, _name(thing, findings))
        for result in findings.targets
        if " ".join(normalise(result.target.label)) in names
    ]
    label = thing.terms[0] if thing.terms else ""
    return found or [Subject(_name(thing, findings), label, None, ())]


def _part(which: Which) -> str:
    """Say which masks are meant by their place and the picture's border, "" for any."""
    places = {
        "top": " in the top half",
        "middle": " in the middle",
        "bottom": " in the bottom half",
    }
    borders = {"touching": " touching the border", "clear": " clear of the border"}
    return places.get(which.place or "", "") + borders.get(which.border or "", "")


def _name(thing: Thing, findings: Findings) -> str:
    if findings.is_said(thing.words):
        return thing.words
    return thing.terms[0] if thing.terms else UNNAMED


def _narrowed(subject: Subject, which: Which, findings: Findings, name: str = "") -> Subject:
    """Return those of a target's masks that are meant, called as the caller calls them."""
    if which.side is not None:
        side = image_side(which, subject.frame)
        subject = subject._replace(
            name=f"{which.side} {name or subject.name}",
            masks=on_side(subject.masks, side, findings),
            where=f"on the image's {side}",
        )
    if subject.result is not None and subject.result.target.id in findings.worked:
        # What the run has selected is not selected from once more.
        return subject
    if which.place or which.border or which.rank:
        parts = (part for mask in subject.masks for part in pieces(mask, findings) or (mask,))
        subject = subject._replace(masks=tuple(parts), name=f"{subject.name}{_part(which)}")
    return subject._replace(masks=ranked(placed(subject.masks, which, findings), which, findings))
