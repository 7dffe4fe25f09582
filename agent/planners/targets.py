"""Turns what a request mentions into targets: label, phrases, count, priors. Pure."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from agent.contract import PlanQuestion
from agent.language.lexicon import Term, to_concept
from agent.planners.meanings import Scene, fitting_terms, kind_of, likely_terms
from agent.planners.sides import frame_of, to_selection
from agent.policy.calls import knows
from agent.schemas.intent import Thing, Which
from agent.schemas.plan import MAX_TARGETS, Target
from segmenter.contract import Capabilities

# Later phrases of a target are hardly ever reached in three rounds.
MAX_PHRASES = 6
MAX_LABEL_CHARS = 80
ANY_SHARE = (0.0, 1.0)
# One of a pair covers at least so much of what the pair's prior says.
_ONE_OF_PAIR = 0.2
REGION_LABEL = "marked region"


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
    terms = fitting_terms(scene.lexicon.named(thing.terms), scene)
    likely, is_shown = likely_terms(terms, question, scene.lexicon)
    if not likely:
        return [_Meant(thing)]
    kinds = {kind_of(term, question.capabilities) for term in likely}
    apart = len(kinds) == 1 and "" not in kinds and (thing.which.several or thing.which.rank)
    if not apart or len(likely) == 1:
        narrowed = thing.model_copy(update={"terms": tuple(term.label for term in likely)})
        return [_Meant(narrowed, thing.words if not is_shown and len(terms) > 1 else None)]
    which = thing.which.model_copy(update={"rank": None, "nth": 1, "limit": None})
    return [
        _Meant(
            thing.model_copy(update={"words": term.label, "terms": (term.label,), "which": which})
        )
        for term in likely
    ]


def _to_target(
    thing: Thing,
    target_id: str,
    scene: Scene,
    capabilities: Capabilities,
    *,
    label: str | None,
) -> Target:
    words = thing.words[:MAX_LABEL_CHARS]
    terms, which = fitting_terms(scene.lexicon.named(thing.terms), scene), thing.which
    frame = frame_of(terms, scene)
    return Target(
        id=target_id,
        label=(label or (terms[0].label if len(terms) == 1 else words))[:MAX_LABEL_CHARS],
        phrases=phrases_of(words, terms, capabilities),
        count=count_of(which, terms),
        where=thing.where[:MAX_LABEL_CHARS],
        selection=to_selection(which, frame),
        area_share=area_prior(terms, which),
        known=bool(terms),
        frame=frame,
        touching=may_touch(terms),
    )


def may_touch(terms: Sequence[Term]) -> bool:
    """Tell whether a thing is of many objects that may touch: nuclei, not the two lungs."""
    return len(terms) == 1 and terms[0].count == "several" and not terms[0].paired


def phrases_of(words: str, terms: Sequence[Term], capabilities: Capabilities) -> tuple[str, ...]:
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
    return listed_first(phrases, capabilities)


def listed_first(phrases: Iterable[str], capabilities: Capabilities) -> tuple[str, ...]:
    """Return phrases once each, those that the model lists first."""
    unique = dict.fromkeys(phrases)
    return tuple(sorted(unique, key=lambda phrase: not knows(capabilities, phrase)))


def count_of(which: Which, terms: Sequence[Term]) -> Literal["one", "several", "unknown"]:
    """Return how many are expected of a thing."""
    if which.limit == 1:
        return "one"
    if which.several:
        return "several"
    if len(terms) != 1:
        return "unknown"
    if which.side and terms[0].paired:
        return "one"
    return terms[0].count


def area_prior(terms: Sequence[Term], which: Which) -> tuple[float, float]:
    """Return the least and the largest share of the picture that a thing covers, in [0, 1]."""
    if not terms:
        return ANY_SHARE
    low = min(term.area_share[0] for term in terms)
    high = max(term.area_share[1] for term in terms)
    if which.place or which.border or (which.rank and terms[0].count == "several"):
        # A part of many may be as small as one of them.
        return 0.0, high
    return (low * _ONE_OF_PAIR if which.side or which.rank else low, high)
