"""Findings built by hand: pictures of 64 x 64 pixels with masks whose measures are known."""

import numpy as np

from agent.answers.answer import answer_questions
from agent.answers.findings import Findings
from agent.language.lexicon import load_lexicon
from agent.schemas.intent import Intent, Question, Thing, Which
from agent.schemas.plan import Target
from agent.schemas.rounds import Candidate, Status
from agent.schemas.runs import ResultMask, TargetResult
from segmenter.contract import BinaryMask, Intensity, Spacing
from segmenter.measures.mask import measure
from tests.agent.doubles import CONCEPTS, SIZE, image_ref, square, to_mask

SPACED = image_ref("spaced", spacing=Spacing(row_mm=0.5, column_mm=0.5, source="PixelSpacing"))
UNKNOWN_SPACING = "The pixel spacing of this picture is not known."
# 20 wide and 10 high: area 200, diagonal 22.4; the short axis is 200 / 22.4 = 8.94.
BAR = square(4, 8, 24, 18)
# As large as the bar, on the other side.
RIGHT_BAR = square(40, 8, 60, 18)
MIDDLE_SQUARE = square(24, 24, 40, 40)


def shown(
    mask_id: str,
    mask: BinaryMask,
    label: str = "polyp",
    *,
    spacing: Spacing | None = None,
    intensity: Intensity | None = None,
    joint: float = 0.9,
) -> ResultMask:
    candidate = Candidate(
        id=mask_id,
        target="t1",
        round=1,
        call=0,
        concept=label,
        mask=to_mask(mask, joint=joint),
        quality=0.81,
    )
    measures = measure(mask, spacing).model_copy(update={"intensity": intensity})
    return ResultMask(candidate=candidate, label=label, verdict="accept", measures=measures)


def result(
    label: str,
    *masks: ResultMask,
    key: str = "t1",
    status: Status = Status.FOUND,
    reason: str = "",
    frame: str = "image",
) -> TargetResult:
    target = Target.model_validate({"id": key, "label": label, "phrases": (label,), "frame": frame})
    return TargetResult(target=target, status=status, masks=masks, reason=reason)


def findings(*targets: TargetResult, **changes: object) -> Findings:
    values: dict[str, object] = {
        "image": image_ref(),
        "lexicon": load_lexicon(),
        "targets": targets,
        "concepts": CONCEPTS,
    }
    return Findings(**(values | changes))  # type: ignore[arg-type]


def thing(words: str, *terms: str, **which: object) -> Thing:
    return Thing(words=words, terms=terms, which=Which.model_validate(which))


def tell(found: Findings, topic: str, find: tuple[Thing, ...] = (), **asked: object) -> str:
    question = Question.model_validate({"topic": topic, **asked})
    return answer_questions(Intent(find=find, questions=(question,)), found)


def empty() -> BinaryMask:
    return np.zeros((SIZE, SIZE), dtype=bool)
