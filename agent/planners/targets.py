"""Turns what a request mentions into targets: label, phrases, side, priors. Pure."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from agent.contract import PlanQuestion
from agent.language.lexicon import Lexicon, Term, load_lexicon, normalise, to_concept
from agent.language.modality import UNKNOWN, known_modality, modality_of_tag
from agent.language.request import read_request
from agent.planners.image_facts import measure, possible_modalities
from agent.policy.calls import knows
from agent.schemas.intent import ANY, Intent, Thing, Which
from agent.schemas.plan import MAX_TARGETS, Selection, Target
from segmenter.contract import Capabilities

# Later phrases of a target are hardly ever reached in three rounds.
MAX_PHRASES = 6
MAX_LABEL_CHARS = 80
ANY_SHARE = (0.0, 1.0)
# One of a pair covers at least so much of what the pair's prior says.
_ONE_OF_PAIR = 0.2
REGION_LABEL = "marked region"

Frame = Literal["patient", "image"]


class Scene(NamedTuple):
    """What is known of the image before the first call.

    Attributes:
        modality: its name, or ``unknown``.
        possible: modalities it may be of.
    """

    lexicon: Lexicon
    modality: str
    possible: frozenset[str]


def scene_of(question: PlanQuestion, named: str, lexicon: Lexicon) -> Scene:
    """Return what the tag, the name a planner gave, the thread and the pixels say of the image."""
    tagged = modality_of_tag(question.image.modality, lexicon)
    modality = known_modality(tagged, named, question.modality)
    possible = frozenset({modality})
    if modality == UNKNOWN:
        everything = frozenset(lexicon.file.modalities)
        possible = possible_modalities(measure(question.pixels), everything)
    return Scene(lexicon, modality, possible)


def to_targets(question: PlanQuestion, scene: Scene) -> tuple[Target, ...]:
    """Return a target for each thing asked for, at most `MAX_TARGETS`."""
    things = [one for thing in question.intent.find for one in _meanings(thing, question, scene)]
    targets = tuple(
        _to_target(meant.thing, f"t{number}", scene, question.capabilities, label=meant.label)
        for number, meant in enumerate(things[:MAX_TARGETS], start=question.first_target)
    )
    if not targets and question.box is not None:
        region = Target(id=f"t{question.first_target}", label=REGION_LABEL, phrases=(), count="one")
        return (region,)
    return targets


class _Meant(NamedTuple):
    """A thing with its likely meanings, and what it is called; None where they tell."""

    thing: Thing
    label: str | None = None


def _meanings(thing: Thing, question: PlanQuestion, scene: Scene) -> list[_Meant]:
    """Return a thing with the meanings that are likely on this picture, or one thing for each.

    Those that fit the kind of picture of what the thread shows go before those that the model
    lists, and these before others; what only the list decides keeps the caller's word. "Both
    ventricles" and "the bigger ventricle" are of all the meanings of one kind of picture, each
    looked for by itself.
    """
    terms = _fitting_terms(scene.lexicon.named(thing.terms), scene)
    listed = [term for term in terms if _kind(term, question.capabilities) is not None]
    held = {
        _kind(term, question.capabilities)
        for result in question.kept
        for term in scene.lexicon.terms_of(normalise(result.target.label))[:1]
    }
    same = [term for term in listed if _kind(term, question.capabilities) in held - {None}]
    likely = same or listed
    if not likely:
        return [_Meant(thing)]
    kinds = {_kind(term, question.capabilities) for term in likely}
    apart = len(kinds) == 1 and "" not in kinds and (thing.which.several or thing.which.rank)
    if not apart or len(likely) == 1:
        narrowed = thing.model_copy(update={"terms": tuple(term.label for term in likely)})
        return [_Meant(narrowed, thing.words if not same and len(terms) > 1 else None)]
    which = thing.which.model_copy(update={"rank": None, "nth": 1, "limit": None})
    return [
        _Meant(
            thing.model_copy(update={"words": term.label, "terms": (term.label,), "which": which})
        )
        for term in likely
    ]


def _kind(term: Term, capabilities: Capabilities) -> str | None:
    """Return the kind of picture a model knows a term on, "" for any, None if it lists it not."""
    if capabilities.concepts is None:
        return None
    listed = [phrase for phrase in term.phrases if phrase in capabilities.concepts]
    return capabilities.pictures.get(listed[0], "") if listed else None


def _to_target(
    thing: Thing,
    target_id: str,
    scene: Scene,
    capabilities: Capabilities,
    *,
    label: str | None,
) -> Target:
    words = thing.words[:MAX_LABEL_CHARS]
    terms, which = _fitting_terms(scene.lexicon.named(thing.terms), scene), thing.which
    frame = frame_of(terms, scene)
    return Target(
        id=target_id,
        label=(label or (terms[0].label if len(terms) == 1 else words))[:MAX_LABEL_CHARS],
        phrases=_phrases(words, terms, capabilities),
        count=_count(which, terms),
        where=thing.where[:MAX_LABEL_CHARS],
        selection=to_selection(which, frame),
        area_share=_area_prior(terms, which),
        known=bool(terms),
        frame=frame,
        touching=_may_touch(terms),
    )


def _may_touch(terms: Sequence[Term]) -> bool:
    """Tell whether a thing is of many objects that may touch: nuclei, not the two lungs."""
    return len(terms) == 1 and terms[0].count == "several" and not terms[0].paired


def _fitting_terms(terms: Sequence[Term], scene: Scene) -> tuple[Term, ...]:
    """Return the terms that the image can show; all of them if none fits."""
    fitting = tuple(term for term in terms if scene.possible & set(term.modalities))
    return fitting or tuple(terms)


def _phrases(words: str, terms: Sequence[Term], capabilities: Capabilities) -> tuple[str, ...]:
    """Return the phrases to try: of one term its phrases, of several the first phrase of each.

    The caller's own words come last, unless they are a longer name; phrases the model lists come
    before those it does not.
    """
    phrases = list(terms[0].phrases) if len(terms) == 1 else [term.phrases[0] for term in terms]
    phrases = phrases[: MAX_PHRASES - 1]
    if own := to_concept(words):
        # Of several meanings none is sure; a name of several words is surer than any of them.
        is_surer = " " in own and len(terms) > 1
        phrases.insert(0 if is_surer else len(phrases), own)
        if not terms:
            phrases.append(own.split()[-1])
    return _listed_first(phrases, capabilities)


def _listed_first(phrases: Iterable[str], capabilities: Capabilities) -> tuple[str, ...]:
    unique = dict.fromkeys(phrases)
    return tuple(sorted(unique, key=lambda phrase: not knows(capabilities, phrase)))


def _count(which: Which, terms: Sequence[Term]) -> Literal["one", "several", "unknown"]:
    if which.limit == 1:
        return "one"
    if which.several:
        return "several"
    if len(terms) != 1:
        return "unknown"
    if which.side and terms[0].paired:
        return "one"
    return terms[0].count


def _area_prior(terms: Sequence[Term], which: Which) -> tuple[float, float]:
    if not terms:
        return ANY_SHARE
    low = min(term.area_share[0] for term in terms)
    high = max(term.area_share[1] for term in terms)
    if which.place or which.border or (which.rank and terms[0].count == "several"):
        # A part of many may be as small as one of them.
        return 0.0, high
    return (low * _ONE_OF_PAIR if which.side or which.rank else low, high)


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


def enrich(targets: Sequence[Target], question: PlanQuestion, modality: str) -> list[Target]:
    """Add the lexicon's phrases and priors, and the request's sides, to what a model named.

    Args:
        targets: as the model named them.
        question: with the request.
        modality: our name of it, or ``unknown``.
    """
    scene = scene_of(question, modality, load_lexicon())
    # All the request says is of the only target.
    alone = len(targets) == 1
    return [_enrich(target, question, scene, alone=alone) for target in targets]


def _enrich(target: Target, question: PlanQuestion, scene: Scene, *, alone: bool) -> Target:
    thing = label_thing(target.label, scene.lexicon)
    frame = frame_of(scene.lexicon.named(thing.terms), scene)
    if not target.phrases:
        return target.model_copy(update={"frame": frame})
    which = _meant(thing, question.intent, alone=alone)
    count = "one" if which.limit == 1 else target.count
    prior, label = target.area_share, target.label
    named = scene.lexicon.terms_of(normalise(label))
    if not named and _is_own_word(target):
        named = scene.lexicon.named(thing.terms)
    terms = _fitting_terms(named, scene)
    if len(terms) == 1:
        prior = _area_prior(terms, which) if prior == ANY_SHARE else prior
        count = _count(which, terms) if count == "unknown" else count
        label = terms[0].label if len(named) > 1 and _is_own_word(target) else label
    return target.model_copy(
        update={
            "label": label,
            "frame": frame,
            "selection": to_selection(which, frame)
            if target.selection == Selection()
            else target.selection,
            "phrases": _enriched_phrases(target, terms, question.capabilities),
            "area_share": prior,
            "count": count,
            "touching": _may_touch(terms),
        }
    )


def _enriched_phrases(
    target: Target, terms: Sequence[Term], capabilities: Capabilities
) -> tuple[str, ...]:
    """Return a model's phrases with the lexicon's; of several meanings none is sure."""
    phrases = [concept for phrase in target.phrases if (concept := to_concept(phrase))]
    if len(terms) == 1:
        merged = (*phrases[:1], *terms[0].phrases, *phrases)
        phrases = list(_listed_first(merged, capabilities))
    elif _is_own_word(target):
        phrases = list(_phrases(target.label, terms, capabilities))
    elif own := to_concept(target.label):
        phrases.append(own)
    return tuple(dict.fromkeys(phrases))[:MAX_PHRASES]


def _is_own_word(target: Target) -> bool:
    """Tell whether a model only repeated the request's word, and chose no meaning of it."""
    return target.phrases == (to_concept(target.label),)


def label_thing(label: str, lexicon: Lexicon) -> Thing:
    """Read a label as a request would be read: "left lung" is a lung with a side."""
    find = read_request(label, lexicon).find
    terms = tuple(term.label for term in lexicon.terms_of(normalise(label)))
    return find[0] if len(find) == 1 else Thing(words=" ".join(normalise(label)), terms=terms)


def _meant(thing: Thing, intent: Intent, *, alone: bool) -> Which:
    """Return which masks are wanted of a thing, by its label and by what the request says of it.

    The label goes first: what is called "left lung" shall be one, whatever else was asked for.
    """
    own = thing.which if thing.terms else ANY
    said = _said(thing, intent, alone=alone)
    if own.side is None or said.side == own.side:
        if own.rank is None:
            return said
        return said.model_copy(update={"rank": own.rank, "nth": own.nth, "limit": own.limit})
    return own


def _said(thing: Thing, intent: Intent, *, alone: bool) -> Which:
    names = {" ".join(normalise(label)) for label in thing.terms} | {thing.words}
    named = [*intent.find, *(one for done in intent.operations for one in done.things)]
    for asked in named:
        if asked.words in names or set(asked.terms) & set(thing.terms):
            return asked.which
    if not alone or len(intent.find) > 1:
        return ANY
    rest = [done.which for done in intent.operations if done.which != ANY]
    return intent.find[0].which if intent.find else next(iter(rest), ANY)
