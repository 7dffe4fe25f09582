"""Renders the texts of `prompts/`: what a model is told, and nothing more.

The caller's words travel as a JSON string, so they cannot end the sentence they stand in. Boxes
are written the way the model writes them.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from string import Template
from typing import NamedTuple

from agent.contract import PlanQuestion, RoundView
from agent.language.language_tables import TRANSLATED
from agent.planners.coordinates import BoxCoordinates, from_box
from agent.planners.panels import ShownPanel, panel_label
from agent.schemas.plan import MAX_ROUNDS, Target
from agent.schemas.rounds import Issue, Round, Verdict
from agent.schemas.runs import TargetResult
from segmenter.contract import BoxPrompt, Capabilities, ImageRef

NAMES = ("plan.md", "inspect.md", "compare.md")
# What reads requests beside the texts.
LANGUAGES = (*TRANSLATED, "others")
TABLES = (
    "lexicon.json",
    "grammar.json",
    "unmeasurable.json",
    *(f"languages/{name}.json" for name in LANGUAGES),
)
# More verdicts of a past round than these teach nothing.
MAX_VERDICTS = 8
# Outlines of one target that are named by their ids.
MAX_IDS = 12
# A closed vocabulary is listed up to this length; no model reads more with care.
MAX_CONCEPTS = 120
_MESSAGE = "<!-- message -->\n"


class MllmQuestion(NamedTuple):
    """What is said: the standing rules, and the question."""

    system: str
    text: str


@cache
def prompt_texts() -> Mapping[str, str]:
    """Read the texts that are shipped with the code."""
    folder = resources.files("prompts")
    return {name: folder.joinpath(name).read_text(encoding="utf-8") for name in NAMES}


def prompts_version() -> str:
    """Return 12 hex digits of the SHA-256 of all texts and of the tables, which plan too."""
    folder = resources.files("prompts")
    files = [folder.joinpath(name).read_bytes() for name in (*NAMES, *TABLES)]
    return hashlib.sha256(b"".join(files)).hexdigest()[:12]


# Read once: the texts are part of the code.
PROMPTS_VERSION = prompts_version()


def render_plan(question: PlanQuestion, coordinates: BoxCoordinates) -> MllmQuestion:
    """Render the question for a plan."""
    own = "none" if question.box is None else _boxed(coordinates, BoxPrompt(box=question.box))
    return _render(
        "plan.md",
        **_box_words(coordinates),
        facts=_facts(question.image),
        tool=_tool(question.capabilities),
        kept=_kept(question.kept),
        own_box=own,
        request=_quoted(question.request),
    )


def render_inspect(
    view: RoundView, panels: Sequence[ShownPanel], coordinates: BoxCoordinates
) -> MllmQuestion:
    """Render the question for a judgement of the panels, in the order they are shown."""
    numbers = {target.id: place for place, target in enumerate(view.plan.targets, start=1)}
    return _render(
        "inspect.md",
        **_box_words(coordinates),
        request=_quoted(view.question.request),
        targets="\n".join(_target(numbers[target.id], target) for target in view.plan.targets),
        number=view.number,
        rounds=MAX_ROUNDS,
        panels="\n".join(_panel(panel, numbers, coordinates) for panel in panels)
        or "none: nothing was found",
        history=_history(view, numbers, coordinates),
        tool=_tool(view.question.capabilities),
    )


def render_comparison(view: RoundView, target: Target | None) -> MllmQuestion:
    """Render the question which of two panels is better."""
    label = "what the request asks for" if target is None else _quoted(target.label)
    return _render("compare.md", request=_quoted(view.question.request), target=label)


def _render(name: str, **words: object) -> MllmQuestion:
    system, text = prompt_texts()[name].split(_MESSAGE)
    return MllmQuestion(Template(system).substitute(words), Template(text).substitute(words))


def _quoted(words: str) -> str:
    return json.dumps(words.encode("utf-8", "replace").decode("utf-8"), ensure_ascii=False)


def _box_words(coordinates: BoxCoordinates) -> dict[str, object]:
    """Return how boxes are written, and the size of the picture they are on."""
    style = coordinates.style
    order = "[y0, x0, y1, x1]" if style.order == "yx" else "[x0, y0, x1, y1]"
    scale = (
        "in thousandths of the picture's height and width, 0 to 1000"
        if style.scale == "thousandths"
        else "in pixels of the picture at the size stated"
    )
    return {
        "box_key": style.key,
        "box_words": f"`{style.key}` is {order}, {scale}; the origin is the upper left corner.",
        "width": coordinates.shown.width,
        "height": coordinates.shown.height,
    }


def _boxed(coordinates: BoxCoordinates, prompt: BoxPrompt) -> str:
    sign = "avoid " if prompt.label == "negative" else ""
    return f"{sign}{list(from_box(prompt.box, coordinates))}"


def _facts(image: ImageRef) -> str:
    modality = f"modality {_quoted(image.modality)}" if image.modality else "modality not stated"
    return f"{modality}, {image.width} x {image.height} pixels"


def _tool(capabilities: Capabilities) -> str:
    takes = f"it takes {', '.join(capabilities.prompts)}"
    avoid = "boxes to avoid are heeded" if capabilities.negative_boxes else "avoid is ignored"
    return f"{takes}; {avoid}; {_vocabulary(capabilities.concepts)}"


def _vocabulary(concepts: tuple[str, ...] | None) -> str:
    if concepts is None:
        return "its vocabulary is open"
    if len(concepts) > MAX_CONCEPTS:
        return f"it knows {len(concepts)} concepts, in plain clinical words"
    return f"as concepts it knows only these: {', '.join(concepts)}"


def _kept(kept: Sequence[TargetResult]) -> str:
    words = (f"{_quoted(result.target.label)} ({_ids(result)})" for result in kept)
    return ", ".join(words) or "nothing"


def _ids(result: TargetResult) -> str:
    ids = [mask.candidate.id for mask in result.masks]
    more = len(ids) - MAX_IDS
    return ", ".join(ids[:MAX_IDS]) + (f" and {more} more" if more > 0 else "") or "no outline"


def _target(number: int, target: Target) -> str:
    where = f", {_quoted(target.where)}" if target.where else ""
    return f"{number}. {_quoted(target.label)}, count {target.count}{where}"


def _panel(panel: ShownPanel, numbers: Mapping[str, int], coordinates: BoxCoordinates) -> str:
    number = numbers.get(panel.target)
    many = f", {len(panel.candidates)} outlines" if len(panel.candidates) > 1 else ""
    names = ", ".join(map(panel_label, panel.candidates[:MAX_VERDICTS]))
    standing = f", the incumbent ({names})" if panel.incumbent else ""
    phrase = "a box alone" if panel.concept is None else f'"{panel.concept}"'
    box = "none" if panel.box is None else list(from_box(panel.box, coordinates))
    return (
        f"{panel.label} ({panel.colour}): target {number}{standing}, asked as {phrase}{many}, "
        f"box {box}, {panel.area_share:.1%} of the image, score {panel.score:.2f}"
    )


def _history(view: RoundView, numbers: Mapping[str, int], coordinates: BoxCoordinates) -> str:
    """Render all calls as a table, and what was said of the masks of earlier rounds."""
    lines = ["round | target | concept | boxes | gave"]
    for past in view.history:
        lines += _calls(past, numbers, coordinates)
        verdicts = past.inspection.verdicts[:MAX_VERDICTS]
        if verdicts:
            lines.append(f"round {past.number} was judged: {', '.join(map(_verdict, verdicts))}")
    return "\n".join([*lines, *_calls(view, numbers, coordinates)])


def _calls(
    made: Round | RoundView, numbers: Mapping[str, int], coordinates: BoxCoordinates
) -> list[str]:
    # A call without a word on it gave masks.
    reasons = (*made.reasons, *[""] * len(made.calls))
    return [
        f"{made.number} | {numbers.get(call.target, '-')} | {call.concept or '-'} | "
        f"{'; '.join(_boxed(coordinates, box) for box in call.boxes) or '-'} | "
        f"{'nothing' if reason else 'masks'}"
        for call, reason in zip(made.calls, reasons, strict=False)
    ]


def _verdict(verdict: Verdict) -> str:
    flaw = "" if verdict.issue == Issue.NONE else f" ({verdict.issue.value})"
    return f"{panel_label(verdict.candidate)} {verdict.verdict}{flaw}"
