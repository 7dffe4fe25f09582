"""What words may mean on a picture: the lexicon's terms, narrowed by what is known of it. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from agent.contract import PlanQuestion
from agent.language.lexicon import Lexicon, Term, normalise
from agent.language.modality import UNKNOWN, known_modality, modality_of_tag
from agent.language.request import read_request
from agent.planners.image_facts import measure, possible_modalities
from agent.schemas.intent import Thing
from segmenter.contract import Capabilities


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


def fitting_terms(terms: Sequence[Term], scene: Scene) -> tuple[Term, ...]:
    """Return the terms that the image can show; all of them if none fits."""
    fitting = tuple(term for term in terms if scene.possible & set(term.modalities))
    return fitting or tuple(terms)


def kind_of(term: Term, capabilities: Capabilities) -> str | None:
    """Return the kind of picture a model knows a term on, "" for any, None if it lists it not."""
    if capabilities.concepts is None:
        return None
    listed = [phrase for phrase in term.phrases if phrase in capabilities.concepts]
    return capabilities.pictures.get(listed[0], "") if listed else None


class Likely(NamedTuple):
    """The terms that are likely on a picture.

    Attributes:
        terms: () if none is likelier than the others.
        is_shown: they are of the kind of picture of what the thread shows.
    """

    terms: tuple[Term, ...]
    is_shown: bool


def likely_terms(terms: Sequence[Term], question: PlanQuestion, lexicon: Lexicon) -> Likely:
    """Return those of the kind of picture of what the thread shows, else those the model lists."""
    listed = [term for term in terms if kind_of(term, question.capabilities) is not None]
    shown = {
        kind_of(term, question.capabilities)
        for result in question.kept
        for term in lexicon.terms_of(normalise(result.target.label))[:1]
    }
    same = [term for term in listed if kind_of(term, question.capabilities) in shown - {None}]
    return Likely(tuple(same or listed), is_shown=bool(same))


def label_thing(label: str, lexicon: Lexicon) -> Thing:
    """Read a label as a request would be read: "left lung" is a lung with a side."""
    find = read_request(label, lexicon).find
    terms = tuple(term.label for term in lexicon.terms_of(normalise(label)))
    return find[0] if len(find) == 1 else Thing(words=" ".join(normalise(label)), terms=terms)
