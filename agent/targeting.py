"""Turns what a request mentions into targets: label, ladder, side, priors. Pure."""

from collections.abc import Sequence
from typing import Literal

from agent.calls import knows
from agent.lexicon import Lexicon, Term, load_lexicon, normalise, to_concept
from agent.modality import UNKNOWN, measure, modality_of_tag, modality_of_words, possible_modalities
from agent.planner import PlanQuestion
from agent.reading import Mention, Modifiers, Reading
from agent.state import MAX_TARGETS, Selection, Target
from segmenter.contract import Capabilities

# Later phrases of a ladder are hardly ever reached in three rounds.
MAX_LADDER = 6
MAX_LABEL_CHARS = 80
# One of a pair covers at least so much of what the pair's prior says.
_ONE_OF_PAIR = 0.2
REGION_LABEL = "marked region"


class Scene:
    """What is known of the image before the first call.

    Attributes:
        modality: its name, or ``unknown``.
        possible: modalities it may be of.
    """

    def __init__(self, question: PlanQuestion, lexicon: Lexicon, named: str) -> None:
        tagged = modality_of_tag(question.image.modality, lexicon)
        self.lexicon = lexicon
        self.capabilities: Capabilities = question.capabilities
        self.modality = tagged if tagged != UNKNOWN else named
        self.possible = frozenset({self.modality})
        if self.modality == UNKNOWN:
            everything = frozenset(lexicon.file.modalities)
            self.possible = possible_modalities(measure(question.pixels), everything)


def to_targets(reading: Reading, question: PlanQuestion, scene: Scene) -> tuple[Target, ...]:
    """Return a target for each thing asked for, at most `MAX_TARGETS`."""
    numbers = iter(range(question.first_target, question.first_target + MAX_TARGETS))
    targets = [
        _to_target(mention, f"t{number}", scene)
        for mention, number in zip(reading.asked, numbers, strict=False)
    ]
    if not targets and question.box is not None:
        region = Target(id=f"t{question.first_target}", label=REGION_LABEL, ladder=(), count="one")
        return (region,)
    return tuple(targets)


def _to_target(mention: Mention, target_id: str, scene: Scene) -> Target:
    words = " ".join(mention.words)[:MAX_LABEL_CHARS]
    terms = fitting_terms(mention.terms, scene)
    modifiers = mention.modifiers
    side = image_side(modifiers, terms, scene)
    low, high = _area_prior(terms)
    return Target(
        id=target_id,
        label=terms[0].label if len(terms) == 1 else words,
        ladder=_ladder(words, terms, scene.capabilities),
        count=_count(modifiers, terms),
        where=mention.where[:MAX_LABEL_CHARS],
        selection=Selection(side=side, rank=modifiers.rank, limit=modifiers.limit),
        area_share=(low * _ONE_OF_PAIR if side or modifiers.rank else low, high),
        known=bool(terms),
    )


def fitting_terms(terms: Sequence[Term], scene: Scene) -> tuple[Term, ...]:
    """Return the terms that the image can show; all of them if none fits."""
    fitting = tuple(term for term in terms if scene.possible & set(term.modalities))
    return fitting or tuple(terms)


def _ladder(words: str, terms: Sequence[Term], capabilities: Capabilities) -> tuple[str, ...]:
    """Return the phrases to try: of one term its ladder, of several the first phrase of each.

    The caller's own words come last, unless they are a longer name; phrases the model lists come
    before those it does not.
    """
    phrases = list(terms[0].ladder) if len(terms) == 1 else [term.ladder[0] for term in terms]
    phrases = phrases[: MAX_LADDER - 1]
    own = to_concept(words)
    # Of several meanings none is sure; a name of several words is surer than any of them.
    named = own is not None and " " in own and len(terms) > 1
    if own is not None:
        phrases.insert(0 if named else len(phrases), own)
    if not terms and own is not None and " " in own:
        phrases.append(own.split()[-1])
    unique = dict.fromkeys(phrases)
    return tuple(sorted(unique, key=lambda phrase: not knows(capabilities, phrase)))


def _count(modifiers: Modifiers, terms: Sequence[Term]) -> Literal["one", "several", "unknown"]:
    if modifiers.limit == 1:
        return "one"
    if modifiers.several:
        return "several"
    if len(terms) != 1:
        return "unknown"
    if modifiers.side and terms[0].paired:
        return "one"
    return terms[0].count


def _area_prior(terms: Sequence[Term]) -> tuple[float, float]:
    if not terms:
        return (0.0, 1.0)
    return (min(term.area_share[0] for term in terms), max(term.area_share[1] for term in terms))


def image_side(
    modifiers: Modifiers, terms: Sequence[Term], scene: Scene
) -> Literal["left", "right"] | None:
    """Translate the request's left and right into the image's.

    By radiological convention the patient's left is the image's right on frontal X-ray, axial or
    coronal CT and MRI; elsewhere (ultrasound, fundus, endoscopy, dermoscopy, microscopy) the
    image's own sides are meant. Of an unknown modality the terms decide, if all their modalities
    agree; else the image's sides hold.

    Source: ACR-SPR-SSR practice of display; DICOM PS3.3 C.7.6.1.1.1 (Patient Orientation).
    """
    if modifiers.side is None or modifiers.frame == "image":
        return modifiers.side
    if not swaps_sides(terms, scene):
        return modifiers.side
    return "right" if modifiers.side == "left" else "left"


def swaps_sides(terms: Sequence[Term], scene: Scene) -> bool:
    """Tell whether the patient's left is the image's right."""
    entries = scene.lexicon.file.modalities
    names = {name for term in terms for name in term.modalities} & scene.possible
    if scene.modality != UNKNOWN:
        names = {scene.modality}
    return bool(names) and all(entries[name].side == "patient" for name in names)


def swaps_sides_of(modality: str) -> bool:
    """Tell whether the patient's left is the image's right in a modality; not in an unknown one."""
    entry = load_lexicon().file.modalities.get(modality)
    return entry is not None and entry.side == "patient"


def side_note(reading: Reading, targets: Sequence[Target]) -> str:
    """Say for a person which side was taken, "" if none was asked for."""
    for mention, target in zip(reading.asked, targets, strict=False):
        asked, taken = mention.modifiers.side, target.selection.side
        if asked and asked != taken:
            return f"{asked} was read as the patient's {asked}, on the image's {taken}"
        if asked:
            return f"{asked} was read as the image's {asked}"
    return ""


def enrich(target: Target, question: PlanQuestion) -> Target:
    """Add the lexicon's ladder and priors to a target that a model named."""
    if not target.ladder:
        return target
    lexicon = load_lexicon()
    words = normalise(target.label)
    scene = Scene(question, lexicon, modality_of_words(normalise(question.request), lexicon))
    terms = fitting_terms(lexicon.terms_of(words), scene)
    phrases = [concept for phrase in target.ladder if (concept := to_concept(phrase))]
    if len(terms) != 1:
        phrases += [words_] if (words_ := to_concept(target.label)) else []
        ladder = tuple(dict.fromkeys(phrases))[:MAX_LADDER]
        return target.model_copy(update={"ladder": ladder})
    term = terms[0]
    merged = dict.fromkeys((*phrases[:1], *term.ladder, *phrases))
    ordered = sorted(merged, key=lambda phrase: not knows(question.capabilities, phrase))
    prior = target.area_share if target.area_share != (0.0, 1.0) else term.area_share
    count = target.count if target.count != "unknown" else term.count
    return target.model_copy(
        update={"ladder": tuple(ordered[:MAX_LADDER]), "area_share": prior, "count": count}
    )
