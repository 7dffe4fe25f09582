"""Whose left and right are meant, once the model has told what the picture shows. Pure.

"Tumor" may be of the brain or of the breast; the patient's sides hold on a brain MRI, the image's
on an ultrasound. Where neither a tag nor a word names the kind of picture, what was found does.
"""

from collections.abc import Mapping, Sequence

from agent.language.lexicon import Lexicon, normalise
from agent.language.modality import UNKNOWN, modality_of_name
from agent.planners.meanings import Scene
from agent.planners.sides import Frame, frame_of, side_note, to_selection
from agent.schemas.intent import Intent, Thing
from agent.schemas.plan import Plan, Target
from segmenter.contract import Capabilities


def settle_frames(
    plan: Plan, found: Mapping[str, str], intent: Intent, can: Capabilities, lexicon: Lexicon
) -> Plan:
    """Return a plan with the sides that hold on the picture that the model's answers tell.

    Args:
        plan: of a picture of which nothing else tells the kind.
        found: by target the model's own name of the best that it found.
        intent: with the sides as the caller's words say them.
        can: what the model knows, and on which kinds of picture.
        lexicon: of the words.
    """
    if plan.modality != UNKNOWN:
        return plan
    targets = tuple(
        _settle(target, found[target.id], intent.find, can, lexicon)
        if target.id in found
        else target
        for target in plan.targets
    )
    if targets == plan.targets:
        return plan
    before, after = side_note(intent, plan.targets), side_note(intent, targets)
    note = plan.note.replace(before, after) if before else plan.note
    return plan.model_copy(update={"targets": targets, "note": note})


def _settle(
    target: Target, concept: str, things: Sequence[Thing], can: Capabilities, lexicon: Lexicon
) -> Target:
    modality = modality_of_name(can.pictures.get(concept, ""), lexicon)
    names = lexicon.terms_of(normalise(target.label))
    if modality == UNKNOWN and len(names) == 1:
        return target
    scene = Scene(lexicon, modality, frozenset(lexicon.file.modalities))
    frame = frame_of(lexicon.terms_of(normalise(concept)), scene)
    if frame == target.frame:
        return target
    settled = target.model_copy(update={"frame": frame})
    thing = _named(target, things)
    if thing is None or not _was_read(thing, target):
        return settled
    side = to_selection(thing.which, frame).side
    selection = target.selection.model_copy(update={"side": side})
    return settled.model_copy(update={"selection": selection})


def _named(target: Target, things: Sequence[Thing]) -> Thing | None:
    label = normalise(target.label)
    named = (
        thing for thing in things if label in (normalise(thing.words), *map(normalise, thing.terms))
    )
    return next(named, None)


def _was_read(thing: Thing, target: Target) -> bool:
    """Tell whether a target's side is the caller's word, as it was read before, and no model's."""
    frame: Frame = target.frame or "image"
    side = thing.which.side
    return side is not None and target.selection.side == to_selection(thing.which, frame).side
