"""Left and right: whose they are on a picture, and which masks that selects. Pure."""

from collections.abc import Sequence
from typing import Literal

from agent.language.lexicon import Lexicon, Term
from agent.language.modality import UNKNOWN
from agent.planners.meanings import Scene, label_thing
from agent.schemas.intent import Intent, Which
from agent.schemas.plan import Selection, Target

Frame = Literal["patient", "image"]


def to_selection(which: Which, frame: Frame | None) -> Selection:
    """Return which masks are wanted, with the request's left and right as the image's."""
    side = which.side
    if side and which.frame != "image" and frame == "patient":
        side = "right" if side == "left" else "left"
    return Selection(
        side=side,
        place=which.place,
        rank=which.rank,
        nth=which.nth,
        limit=which.limit,
        border=which.border,
    )


def frame_of(terms: Sequence[Term], scene: Scene) -> Frame:
    """Tell whose left and right words mean.

    By radiological convention the patient's left is the image's right on frontal X-ray, axial or
    coronal CT and MRI; elsewhere (ultrasound, fundus, endoscopy, dermoscopy, microscopy) the
    image's own sides are meant. Of an unknown modality the terms decide, if all the modalities
    they and the image may be of agree; else the image's sides hold.

    Source: ACR-SPR-SSR practice of display; DICOM PS3.3 C.7.6.1.1.1 (Patient Orientation).
    """
    usual = {name for term in terms for name in term.modalities}
    # An image that can be none of the usual ones is coloured or framed in a way not known here.
    names = usual & scene.possible or usual
    if scene.modality != UNKNOWN:
        names = {scene.modality}
    entries = scene.lexicon.file.modalities
    by_patient = bool(names) and all(entries[name].side == "patient" for name in names)
    return "patient" if by_patient else "image"


def later_frame(target: Target, modality: str, lexicon: Lexicon) -> Frame:
    """Tell whose left and right a follow-up means of a target that is there.

    A modality that is known now decides; else what the first run, which saw the pixels, made of it.
    """
    if modality == UNKNOWN and target.frame is not None:
        return target.frame
    terms = lexicon.named(label_thing(target.label, lexicon).terms)
    return frame_of(terms, Scene(lexicon, modality, frozenset(lexicon.file.modalities)))


def side_note(intent: Intent, targets: Sequence[Target]) -> str:
    """Say for a person which side was taken, "" if none was asked for."""
    for thing, target in zip(intent.find, targets, strict=False):
        asked, taken = thing.which.side, target.selection.side
        if asked and asked != taken:
            return f"{asked} was read as the patient's {asked}, on the image's {taken}"
        if asked:
            return f"{asked} was read as the image's {asked}"
    return ""
