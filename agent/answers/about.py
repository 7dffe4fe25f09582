"""What the service can look for, what it cannot tell, and why it drew what it drew. Pure."""

import json
from functools import cache
from importlib import resources

from pydantic import TypeAdapter

from agent.answers.findings import Findings, Shown
from agent.answers.numbers import listed, ratio
from agent.answers.subjects import Subject, subjects_of, whole
from agent.answers.told import NOT_ASKED, Asked, Told
from agent.language.lexicon import normalise
from segmenter.contract import Frozen

# As many concepts as a sentence can list.
MAX_LISTED = 40
# More masks or calls are not explained one by one.
MAX_WHY = 4
# Longer words of a request are not repeated.
MAX_QUOTED_CHARS = 60
_JUDGES = {"rules": "the rules", "mllm": "the MLLM", "client": "a person"}


class Unmeasurable(Frozen):
    """Something that outlines of one picture do not tell.

    Attributes:
        words: that ask for it.
        why: ends the sentence "... cannot be measured here: ".
    """

    name: str
    words: tuple[str, ...]
    why: str


@cache
def load_unmeasurable() -> tuple[Unmeasurable, ...]:
    """Read the table that is shipped with the code."""
    text = resources.files("prompts").joinpath("unmeasurable.json").read_text(encoding="utf-8")
    entries = json.loads(text)["entries"]
    return TypeAdapter(tuple[Unmeasurable, ...]).validate_python(entries)


def tell_names(asked: Asked) -> list[Told]:
    """Say what is outlined, and what the model can look for; of masks named, what they are."""
    findings = asked.findings
    if asked.question.masks:
        subjects = subjects_of(asked.question, asked.intent, findings)
        return [Told(_what(subject)) for subject in subjects]
    held = (whole(result, findings) for result in findings.targets)
    shown = [_outlined(subject) for subject in held if subject.masks]
    told = [Told(f"Outlined here: {listed(shown)}.")] if shown else []
    return [*told, Told(_can_find(findings))]


def tell_diagnosis(asked: Asked) -> list[Told]:
    """Say that this service does not diagnose."""
    known = _unmeasurable(asked)
    told = [Told(f"{_first_upper(known.name)}: {known.why}.")] if known is not None else []
    return [*told, Told("This service outlines and measures, it does not diagnose.")]


def tell_unmeasurable(asked: Asked) -> list[Told]:
    """Say what cannot be measured, and why."""
    known = _unmeasurable(asked)
    if known is not None:
        return [Told(f"{_first_upper(known.name)} cannot be measured here: {known.why}.")]
    words = " ".join(asked.question.words.split()).rstrip(" ?.!")
    requests = " ".join(asked.findings.requests[-1:]).lower()
    quoted = 0 < len(words) <= MAX_QUOTED_CHARS and words.lower() in requests
    what = f'"{words}"' if quoted else "That"
    return [Told(f"{what} cannot be measured from the outlines of one picture.")]


def tell_why(asked: Asked) -> list[Told]:
    """Say what the model was asked, what it answered, who judged it, and what to check."""
    subjects = subjects_of(asked.question, asked.intent, asked.findings)
    told = [sentence for subject in subjects for sentence in _why(subject, asked.findings)]
    return told or [Told("Nothing is outlined, so there is nothing to explain.")]


def _unmeasurable(asked: Asked) -> Unmeasurable | None:
    words = f" {' '.join(normalise(asked.question.words))} "
    for known in load_unmeasurable():
        if any(f" {' '.join(normalise(word))} " in words for word in known.words):
            return known
    return None


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _what(subject: Subject) -> str:
    if not subject.masks:
        return f"{subject.name} is not among the masks that are shown."
    doubt = ", uncertain" if subject.is_uncertain else ""
    shown = [
        f"{mask.id} is the outline of {subject.name}{doubt}." for mask in subject.masks[:MAX_WHY]
    ]
    return " ".join(shown)


def _outlined(subject: Subject) -> str:
    ids = listed(mask.id for mask in subject.masks[:MAX_LISTED])
    return f"{subject.name} ({ids}{', uncertain' if subject.is_uncertain else ''})"


def _can_find(findings: Findings) -> str:
    if findings.concepts is None:
        return "This model looks for any structure that is named in a few words."
    if not findings.concepts:
        return "What the model can look for is not known now."
    more = " and others" if len(findings.concepts) > MAX_LISTED else ""
    return f"This model can look for {', '.join(findings.concepts[:MAX_LISTED])}{more}."


def _why(subject: Subject, findings: Findings) -> list[Told]:
    if subject.masks:
        shown = [
            Told(f"{subject._replace(masks=(mask,)).title}: {_story(mask, findings)}.")
            for mask in subject.masks[:MAX_WHY]
        ]
        more = len(subject.masks) - MAX_WHY
        rest = [Told(f"{more} more masks of {subject.name} came likewise.")] if more > 0 else []
        return [*shown, *rest, Told(_check(subject))]
    if subject.result is None:
        return [Told(f"{subject.name}: {subject.reason or NOT_ASKED}.")]
    asked = _searched(subject.result.target.id, findings)
    reason = subject.reason or "nothing that can be shown was found"
    return [Told(f"{subject.name}: {'; '.join([*asked, reason])}.")]


def _story(mask: Shown, findings: Findings) -> str:
    """Say where a mask comes from."""
    candidate, item = mask.item.candidate, mask.item
    asked = _phrase(candidate.concept, findings)
    found = candidate.mask
    said = (
        f"the model was asked for {asked} and answered with presence {ratio(found.presence)}"
        f" and score {ratio(found.joint)}"
    )
    if candidate.derived_from is not None:
        said += f"; the mask was made from {candidate.derived_from}"
    if candidate.quality is not None:
        said += f"; quality by the rules {ratio(candidate.quality)}"
    return f"{said}; judged {item.verdict} by {_JUDGES[item.by]}" if item.verdict else said


def _phrase(concept: str | None, findings: Findings) -> str:
    if concept is None:
        return "what is in a box"
    return f'"{concept}"' if findings.may_name(concept) else "a phrase of the MLLM"


def _check(subject: Subject) -> str:
    doubt = subject.reason
    head = f"A person should look: {doubt}; check" if doubt else "Check"
    return f"{head} that it is {subject.name}, and its edges, on the picture."


def _searched(target: str, findings: Findings) -> list[str]:
    """Say what each call for a target gave."""
    said = []
    for done in findings.rounds:
        for call, presence, known in zip(done.calls, done.presence, done.known, strict=False):
            if call.target != target or call.concept is None:
                continue
            gave = f"presence {ratio(presence)}" if known else "that it does not know it"
            phrase = _phrase(call.concept, findings)
            said.append(f"the model was asked for {phrase} and answered {gave}")
    return list(dict.fromkeys(said))[:MAX_WHY]
