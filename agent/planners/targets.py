"""Turns what a request mentions into targets: label, phrases, side, priors. Pure."""

from collections.abc import Sequence
from typing import Literal

from agent.contract import PlanQuestion
from agent.language.lexicon import Lexicon, Term, load_lexicon, normalise, to_concept
from agent.language.modality import UNKNOWN, known_modality, modality_of_tag
from agent.language.request import Mention, Modifiers, Reading, read_request
from agent.planners.image_facts import measure, possible_modalities
from agent.policy.calls import knows
from agent.schemas.plan import MAX_TARGETS, Selection, Target
from segmenter.contract import Capabilities

# Later phrases of a phrases are hardly ever reached in three rounds.
MAX_PHRASES = 6
MAX_LABEL_CHARS = 80
# One of a pair covers at least so much of what the pair's prior says.
_ONE_OF_PAIR = 0.2
REGION_LABEL = "marked region"

Frame = Literal["patient", "image"]


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
        self.modality = known_modality(tagged, named, question.modality)
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
        region = Target(id=f"t{question.first_target}", label=REGION_LABEL, phrases=(), count="one")
        return (region,)
    return tuple(targets)


def _to_target(mention: Mention, target_id: str, scene: Scene) -> Target:
    words = " ".join(mention.words)[:MAX_LABEL_CHARS]
    terms = fitting_terms(mention.terms, scene)
    modifiers = mention.modifiers
    frame = frame_of(terms, scene.modality, scene.possible, scene.lexicon)
    return Target(
        id=target_id,
        label=terms[0].label if len(terms) == 1 else words,
        phrases=_phrases(words, terms, scene.capabilities),
        count=_count(modifiers, terms),
        where=mention.where[:MAX_LABEL_CHARS],
        selection=_selection(modifiers, frame),
        area_share=_member_of_pair(_area_prior(terms), modifiers),
        known=bool(terms),
        frame=frame,
    )


def fitting_terms(terms: Sequence[Term], scene: Scene) -> tuple[Term, ...]:
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


def _member_of_pair(prior: tuple[float, float], modifiers: Modifiers) -> tuple[float, float]:
    low, high = prior
    return (low * _ONE_OF_PAIR if modifiers.side or modifiers.rank else low, high)


def _area_prior(terms: Sequence[Term]) -> tuple[float, float]:
    if not terms:
        return (0.0, 1.0)
    return (min(term.area_share[0] for term in terms), max(term.area_share[1] for term in terms))


def image_side(modifiers: Modifiers, frame: Frame | None) -> Literal["left", "right"] | None:
    """Translate the request's left and right into the image's."""
    if modifiers.side is None or modifiers.frame == "image" or frame != "patient":
        return modifiers.side
    return "right" if modifiers.side == "left" else "left"


def frame_of(
    terms: Sequence[Term], modality: str, possible: frozenset[str], lexicon: Lexicon
) -> Frame:
    """Tell whose left and right words mean.

    By radiological convention the patient's left is the image's right on frontal X-ray, axial or
    coronal CT and MRI; elsewhere (ultrasound, fundus, endoscopy, dermoscopy, microscopy) the
    image's own sides are meant. Of an unknown modality the terms decide, if all the modalities
    they and the image may be of agree; else the image's sides hold.

    Source: ACR-SPR-SSR practice of display; DICOM PS3.3 C.7.6.1.1.1 (Patient Orientation).
    """
    usual = {name for term in terms for name in term.modalities}
    # An image that can be none of the usual ones is coloured or framed in a way not known here.
    names = usual & possible or usual
    if modality != UNKNOWN:
        names = {modality}
    entries = lexicon.file.modalities
    by_patient = bool(names) and all(entries[name].side == "patient" for name in names)
    return "patient" if by_patient else "image"


def later_frame(target: Target, modality: str, lexicon: Lexicon) -> Frame:
    """Tell whose left and right a follow-up means of a target that is there.

    A modality that is known now decides; else what the first run, which saw the pixels, made of it.
    """
    if modality == UNKNOWN and target.frame is not None:
        return target.frame
    terms = label_mention(target.label, lexicon).terms
    return frame_of(terms, modality, frozenset(lexicon.file.modalities), lexicon)


def side_note(reading: Reading, targets: Sequence[Target]) -> str:
    """Say for a person which side was taken, "" if none was asked for."""
    for mention, target in zip(reading.asked, targets, strict=False):
        asked, taken = mention.modifiers.side, target.selection.side
        if asked and asked != taken:
            return f"{asked} was read as the patient's {asked}, on the image's {taken}"
        if asked:
            return f"{asked} was read as the image's {asked}"
    return ""


def enrich(
    target: Target, question: PlanQuestion, *, modality: str = UNKNOWN, alone: bool = False
) -> Target:
    """Add the lexicon's phrases and priors, and the request's sides, to what a model named.

    Args:
        target: as the model named it.
        question: with the request.
        modality: our name of it, or ``unknown``.
        alone: the plan has no other target, so all the request says is of this one.
    """
    lexicon = load_lexicon()
    scene = Scene(question, lexicon, modality)
    mention = label_mention(target.label, lexicon)
    frame = frame_of(mention.terms, scene.modality, scene.possible, lexicon)
    target = target.model_copy(update={"frame": frame})
    if not target.phrases:
        return target
    modifiers = _meant(mention, read_request(question.request, lexicon), alone=alone)
    selection = _selection(modifiers, frame)
    if target.selection == Selection():
        target = target.model_copy(update={"selection": selection})
    terms = fitting_terms(lexicon.terms_of(normalise(target.label)), scene)
    return _with_term(target, terms, modifiers, question.capabilities)


def label_mention(label: str, lexicon: Lexicon) -> Mention:
    """Read a label as a request would be: "left lung" is a lung with a side."""
    asked = read_request(label, lexicon).asked
    words = normalise(label)
    return asked[0] if len(asked) == 1 else Mention(words=words, terms=lexicon.terms_of(words))


def _meant(mention: Mention, reading: Reading, *, alone: bool) -> Modifiers:
    """Return which masks are wanted of a thing, by its label and by what the request says of it.

    The label goes first: what is called "left lung" shall be one, whatever else was asked for.
    """
    own = mention.modifiers if mention.terms else Modifiers()
    said = _said(mention, reading, alone=alone)
    if own.side is None or said.side == own.side:
        return said if own.rank is None else said._replace(rank=own.rank, limit=own.limit)
    return own


def _said(mention: Mention, reading: Reading, *, alone: bool) -> Modifiers:
    names = {normalise(term.label) for term in mention.terms} | {mention.words}
    for asked in reading.asked:
        if asked.words in names or set(asked.terms) & set(mention.terms):
            return asked.modifiers
    if alone and len(reading.asked) == 1:
        return reading.asked[0].modifiers
    return reading.modifiers if alone and not reading.asked else Modifiers()


def _selection(modifiers: Modifiers, frame: Frame | None) -> Selection:
    side = image_side(modifiers, frame)
    return Selection(side=side, rank=modifiers.rank, limit=modifiers.limit)


def _with_term(
    target: Target, terms: Sequence[Term], modifiers: Modifiers, capabilities: Capabilities
) -> Target:
    """Add what the lexicon knows of the one term that is meant; of several none is sure."""
    phrases = [concept for phrase in target.phrases if (concept := to_concept(phrase))]
    count = "one" if modifiers.limit == 1 else target.count
    if len(terms) != 1:
        phrases += [own] if (own := to_concept(target.label)) else []
        kept = tuple(dict.fromkeys(phrases))[:MAX_PHRASES]
        return target.model_copy(update={"phrases": kept, "count": count})
    merged = dict.fromkeys((*phrases[:1], *terms[0].phrases, *phrases))
    ordered = sorted(merged, key=lambda phrase: not knows(capabilities, phrase))
    prior = target.area_share
    if prior == (0.0, 1.0):
        prior = _member_of_pair(_area_prior(terms), modifiers)
    return target.model_copy(
        update={
            "phrases": tuple(ordered[:MAX_PHRASES]),
            "area_share": prior,
            "count": count if count != "unknown" else _count(modifiers, terms),
        }
    )
