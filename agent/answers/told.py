"""What is asked, and the sentences that answer it."""

from typing import NamedTuple

from agent.answers.findings import Findings
from agent.answers.subjects import Subject
from agent.schemas.intent import Intent, Question
from agent.schemas.rounds import Status


class Asked(NamedTuple):
    """One question, with all that its answer is made of."""

    question: Question
    intent: Intent
    findings: Findings


class Told(NamedTuple):
    """A sentence.

    Attributes:
        has_lengths: it tells lengths or areas, so the spacing of the picture is of interest.
    """

    text: str
    has_lengths: bool = False


NOT_ASKED = "it was not looked for"
NOTHING = Told("Nothing is outlined yet, so there is nothing to measure.")


def not_outlined(subject: Subject) -> Told:
    """Say that there is nothing to measure of a thing, and why."""
    # Of what was narrowed down to nothing the target's reason tells nothing.
    if subject.result is None or subject.result.masks:
        return Told(f"{subject.name}: not outlined here, so there is nothing to measure.")
    if subject.result.status is Status.NOT_FOUND:
        return Told(f"{subject.name}: looked for and not found, so there is nothing to measure.")
    why = f" ({subject.reason})" if subject.reason else ""
    return Told(f"{subject.name}: not outlined{why}, so there is nothing to measure.")
