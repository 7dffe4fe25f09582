"""Adds to a model's targets what the lexicon and the request say of them. Pure."""

from collections.abc import Sequence

from agent.contract import PlanQuestion
from agent.language.lexicon import Term, load_lexicon, normalise, to_concept
from agent.planners.meanings import Scene, fitting_terms, label_thing, likely_terms, scene_of
from agent.planners.sides import frame_of, to_selection
from agent.planners.targets import (
    ANY_SHARE,
    MAX_PHRASES,
    area_prior,
    count_of,
    listed_first,
    may_touch,
    phrases_of,
)
from agent.schemas.intent import ANY, Intent, Thing, Which
from agent.schemas.plan import Selection, Target
from segmenter.contract import Capabilities


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
    prior = target.area_share
    terms = _meant_terms(target, thing, question, scene)
    if len(terms) == 1:
        prior = area_prior(terms, which) if prior == ANY_SHARE else prior
        count = count_of(which, terms) if count == "unknown" else count
    return target.model_copy(
        update={
            "label": _label(target, terms, question, scene),
            "frame": frame,
            "selection": to_selection(which, frame)
            if target.selection == Selection()
            else target.selection,
            "phrases": _enriched_phrases(target, terms, question.capabilities),
            "area_share": prior,
            "count": count,
            "touching": may_touch(terms),
        }
    )


def _meant_terms(
    target: Target, thing: Thing, question: PlanQuestion, scene: Scene
) -> tuple[Term, ...]:
    """Return a target's terms; a word that a model only repeats means what the rules make of it."""
    named = scene.lexicon.terms_of(normalise(target.label))
    if not _is_own_word(target):
        return fitting_terms(named, scene)
    terms = fitting_terms(named or scene.lexicon.named(thing.terms), scene)
    return likely_terms(terms, question, scene.lexicon).terms or terms


def _label(target: Target, terms: Sequence[Term], question: PlanQuestion, scene: Scene) -> str:
    """Return what a target is called: what only the model's list decides keeps its word."""
    named = scene.lexicon.terms_of(normalise(target.label))
    if len(terms) != 1 or len(named) < 2 or not _is_own_word(target):
        return target.label
    fitting = fitting_terms(named, scene)
    by_picture = len(fitting) == 1 or likely_terms(fitting, question, scene.lexicon).is_shown
    return terms[0].label if by_picture else target.label


def _enriched_phrases(
    target: Target, terms: Sequence[Term], capabilities: Capabilities
) -> tuple[str, ...]:
    """Return a model's phrases with the lexicon's; of several meanings none is sure."""
    phrases = [concept for phrase in target.phrases if (concept := to_concept(phrase))]
    if len(terms) == 1:
        merged = (*phrases[:1], *terms[0].phrases, *phrases)
        phrases = list(listed_first(merged, capabilities))
    elif _is_own_word(target):
        phrases = list(phrases_of(target.label, terms, capabilities))
    elif own := to_concept(target.label):
        phrases.append(own)
    return tuple(dict.fromkeys(phrases))[:MAX_PHRASES]


def _is_own_word(target: Target) -> bool:
    """Tell whether a model only repeated the request's word, and chose no meaning of it."""
    return target.phrases == (to_concept(target.label),)


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
