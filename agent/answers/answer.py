"""Answers the questions of a request in plain sentences. Pure.

Every number is one of the masks' measures, made of two of them in a way that is said, or one of the
model's scores. Of what a model writes nothing is repeated.
"""

from collections.abc import Callable, Mapping

from agent.answers.about import tell_diagnosis, tell_names, tell_unmeasurable, tell_why
from agent.answers.findings import Findings
from agent.answers.pairs import tell_comparison, tell_difference, tell_ratio, tell_share
from agent.answers.places import tell_midline, tell_place, tell_side
from agent.answers.presence import tell_count, tell_presence
from agent.answers.sizes import QUANTITIES, tell_intensity, tell_size, tell_volume
from agent.answers.told import Asked, Told
from agent.schemas.intent import Intent, Question, Topic
from segmenter.contract import ImageRef

TOPICS: Mapping[Topic, Callable[[Asked], list[Told]]] = {
    **dict.fromkeys(QUANTITIES, tell_size),
    "volume": tell_volume,
    "intensity": tell_intensity,
    "count": tell_count,
    "place": tell_place,
    "side": tell_side,
    "midline": tell_midline,
    "presence": tell_presence,
    "ratio": tell_ratio,
    "share": tell_share,
    "compare": tell_comparison,
    "difference": tell_difference,
    "names": tell_names,
    "diagnosis": tell_diagnosis,
    "unmeasurable": tell_unmeasurable,
    "why": tell_why,
}


def answer_questions(intent: Intent, findings: Findings) -> str:
    """Answer a request's questions; "" without one.

    Args:
        intent: what the request means.
        findings: what its run shows.
    """
    told = [
        sentence
        for question in intent.questions
        for sentence in TOPICS[_topic(question)](Asked(question, intent, findings))
    ]
    sentences = list(dict.fromkeys(sentence.text for sentence in told))
    if any(sentence.has_lengths for sentence in told):
        sentences.append(spacing_note(findings.image))
    return " ".join(sentences)


def _topic(question: Question) -> Topic:
    """Return what is to be told: "what is the largest?" asks for one of the masks."""
    ranks = (question.which.rank, *(thing.which.rank for thing in question.things))
    return "size" if question.topic == "names" and any(ranks) else question.topic


def spacing_note(image: ImageRef) -> str:
    """Say where millimetres come from, or why there are none."""
    if image.spacing is None:
        return "The pixel spacing of this picture is not known."
    source = image.spacing.source
    return f"Pixel spacing by {f'DICOM {source}' if image.format == 'dicom' else source}."
