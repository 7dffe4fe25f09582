import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import permutations
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.answers.answer import TOPICS, answer_questions
from agent.answers.findings import UNNAMED, Findings
from agent.schemas.intent import Intent, Question, Topic
from agent.schemas.rounds import Status
from agent.schemas.runs import EarlierResult, ResultMask
from segmenter.contract import BinaryMask, Measures
from segmenter.masks.rle import decode
from tests.agent.answers.scenes import (
    BAR,
    SPACED,
    findings,
    result,
    shown,
    tell,
)
from tests.agent.doubles import SIZE, image_ref

NUMBER = re.compile(r"(?<![\w.])(-?\d+(?:\.\d+)?)(?: (px|mm²|cm²|mm|cm|%))?")
MASK_NUMBER = re.compile(r"\b[mt]\d+\b")
PX_PER_MM = 2.0
TELLING = [topic for topic in get_args(Topic) if topic not in ("names", "unmeasurable")]


def test_every_topic_has_an_answer() -> None:
    assert set(TOPICS) == set(get_args(Topic))


def test_no_question_has_no_answer() -> None:
    assert answer_questions(Intent(), findings(result("polyp", shown("m1", BAR)))) == ""


def test_two_questions_are_answered_in_their_order_and_the_spacing_is_told_once() -> None:
    asked = (Question(topic="diameter"), Question(topic="area"), Question(topic="area"))
    found = findings(result("polyp", shown("m1", BAR)))
    assert answer_questions(Intent(questions=asked), found) == (
        "polyp (m1): longest diameter 22.4 px, short axis across it 11.2 px. polyp (m1): area"
        " 200 px. The pixel spacing of this picture is not known."
    )


@pytest.mark.parametrize("topic", get_args(Topic))
def test_words_of_a_model_never_enter_an_answer(topic: str) -> None:
    claim = "polyp of 12 mm, surely malignant"
    unsure = {"status": Status.UNCERTAIN, "reason": f"it may not be {claim}"}
    found = findings(
        result(claim, shown("m1", BAR, claim), **unsure),  # type: ignore[arg-type]
        requests=("how big is it?",),
    )
    answer = tell(found, topic, words=claim)
    assert "12" not in answer
    assert "surely" not in answer
    assert UNNAMED in tell(found, "size")


def test_a_reason_that_names_another_thing_in_a_models_words_is_left_out() -> None:
    claim = "mass of 12 mm"
    reason = f"polyp and {claim} cover the same pixels"
    unsure = result("polyp", shown("m1", BAR), status=Status.UNCERTAIN, reason=reason)
    found = findings(unsure, result(claim, shown("m2", BAR), key="t2"), requests=("polyp?",))
    assert "12" not in tell(found, "presence", masks=("m1",))
    said = findings(*found.targets, requests=(f"is there a {claim}?",))
    assert reason in tell(said, "presence", masks=("m1",))


@st.composite
def pictures(draw: st.DrawFn) -> Findings:
    """Up to two things of up to six rectangles each, with holes."""
    spacing = SPACED.spacing if draw(st.booleans()) else None
    number, results = 0, []
    for key, label in (("t1", "lungs"), ("t2", "lung infection")):
        masks: list[ResultMask] = []
        for _ in range(draw(st.integers(0, 6))):
            number += 1
            masks.append(shown(f"m{number}", draw(rectangles()), label, spacing=spacing))
        status = draw(st.sampled_from((Status.FOUND, Status.UNCERTAIN)))
        results.append(result(label, *masks, key=key, status=status))
    earlier = EarlierResult(target="t2", masks=("m99",), area_px=draw(st.integers(1, SIZE**2)))
    image = SPACED if spacing else image_ref()
    return findings(*results, image=image, earlier=(earlier,))


@st.composite
def rectangles(draw: st.DrawFn) -> BinaryMask:
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    for _ in range(draw(st.integers(1, 3))):
        x0, y0 = draw(st.integers(0, SIZE - 2)), draw(st.integers(0, SIZE - 2))
        width, height = draw(st.integers(1, 30)), draw(st.integers(1, 30))
        mask[y0 : y0 + height, x0 : x0 + width] = True
    return mask


@given(
    found=pictures(),
    topic=st.sampled_from(TELLING),
    unit=st.sampled_from([None, "px", "cm", "percent"]),
)
@settings(max_examples=60, deadline=None)
def test_every_number_is_a_measure_or_made_of_two(
    found: Findings, topic: Topic, unit: str | None
) -> None:
    assert unknown_numbers(tell(found, topic, unit=unit), found) == []


@pytest.mark.parametrize("topic", ["size", "width", "perimeter", "place", "share", "presence"])
def test_a_wrong_number_would_be_noticed(topic: str) -> None:
    found = findings(
        result("lungs", shown("m1", BAR, "lungs", spacing=SPACED.spacing)), image=SPACED
    )
    answer = tell(found, topic)
    assert NUMBER.search(MASK_NUMBER.sub("", answer))
    wrong = re.sub(r"(?<![\w.])(\d+\.?\d*)", lambda told: str(1.03 * float(told[0])), answer)
    assert unknown_numbers(wrong, found)


def unknown_numbers(answer: str, found: Findings) -> list[str]:
    """Return the numbers of an answer that nobody measured."""
    known: defaultdict[str, list[float]] = defaultdict(list)
    for unit, value in known_numbers(found):
        known[unit].append(value)
    said = NUMBER.findall(MASK_NUMBER.sub("", answer))
    return [f"{text} {unit}" for text, unit in said if not is_known(text, known[unit])]


def is_known(text: str, known: list[float]) -> bool:
    decimals = len(text.partition(".")[2])
    # Of more than three digits the others may be rounded away.
    step = 10.0 ** max(len(text.lstrip("-")) - 3, 0) if not decimals else 10.0**-decimals
    return any(abs(value - float(text)) <= step / 2 + 1e-9 for value in known)


Known = tuple[str, float]


def known_numbers(found: Findings) -> Iterator[Known]:
    """Every measure with its unit; sums, differences, ratios and shares of two; and counts."""
    groups: list[list[BinaryMask]] = []
    for target in found.targets:
        yield from (("", count) for count in range(len(target.masks) + 1))
        drawn = [decode(item.candidate.mask.rle) for item in target.masks]
        groups += [drawn, *([mask] for mask in drawn)] if drawn else []
        for item, mask in zip(target.masks, drawn, strict=True):
            assert item.measures is not None
            yield from of_mask(item.measures)
            yield from [("", item.candidate.mask.joint), ("", item.candidate.mask.presence)]
            yield from [("", item.candidate.quality or 0.0), ("", len(pieces_of(mask)))]
            groups += pieces_of(mask)
    sets = [(sum(mask.sum() for mask in group), np.logical_or.reduce(group)) for group in groups]
    for (area, mask), (other, other_mask) in permutations([*sets, *sets], 2):
        yield from areas(area)
        yield from areas(area - other)
        yield from [("%", 100 * (area - other) / other), ("", mask.sum() / other_mask.sum())]
        yield "%", 100 * (mask & other_mask).sum() / mask.sum()
    for earlier in found.earlier:
        for area, _ in sets:
            change = abs(area - earlier.area_px)
            yield from [("px", earlier.area_px), ("px", change)]
            yield "%", 100 * change / earlier.area_px


def of_mask(measures: Measures) -> Iterator[Known]:
    lengths = (measures.longest, measures.short, measures.width, measures.height)
    for length in (*lengths, measures.perimeter):
        yield "px", length.px
        if length.mm is not None:
            yield from [("mm", length.mm), ("cm", length.mm / 10)]
    yield from [("px", measures.centroid[0]), ("px", measures.centroid[1])]
    yield "", measures.circularity


def areas(px: float) -> Iterator[Known]:
    mm2 = px / PX_PER_MM**2
    yield from [("px", px), ("mm²", mm2), ("cm²", mm2 / 100), ("%", 100 * px / SIZE**2)]


def pieces_of(mask: BinaryMask) -> list[list[BinaryMask]]:
    """Cut a mask into its connected pieces, by flooding."""
    left, pieces = mask.copy(), []
    while left.any():
        piece = np.zeros_like(mask)
        front = [tuple(np.argwhere(left)[0])]
        while front:
            y, x = front.pop()
            if not (0 <= y < SIZE and 0 <= x < SIZE) or not left[y, x]:
                continue
            left[y, x], piece[y, x] = False, True
            front += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        pieces.append([piece])
    return pieces
