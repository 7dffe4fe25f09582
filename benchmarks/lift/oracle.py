"""A planner that knows the truth and errs as often as it is told to. Pure but for its dice.

It boxes the true target, each side off by up to a stated share of the box, and gives a wrong word
on a stated share of what it judges. It answers in the forms of `prompts/`, as a model does.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from segmenter.contract import BinaryMask
from segmenter.masks.geometry import dice, mask_box

# A judge that sees the truth: what counts as right, as half right, and as no difference.
ACCEPT, PARTIAL, SAME = 0.8, 0.4, 0.02
VERDICTS = ("accept", "partial", "reject")
ORDERS = ("yes", "no", "same")
INCUMBENT = "M0"


class Errors(NamedTuple):
    """How bad it is.

    Attributes:
        box: share of the box's side by which each side may be off, [0, 1).
        judge: share of judgements that are wrong, [0, 1].
        boxes: whether it gives boxes at all.
    """

    box: float
    judge: float
    boxes: bool = True


@dataclass
class Oracle:
    """Answers one run at a time.

    Attributes:
        errors: see the class.
        phrase: asked for in this run.
        truth: bool, shape (H, W); empty where the target is not in the image.
        panels: masks shown for judgement, by label.
        comparison: the two sets of a comparison.
    """

    errors: Errors
    phrase: str = ""
    truth: BinaryMask = field(default_factory=lambda: np.zeros((1, 1), dtype=np.bool_))
    panels: Mapping[str, BinaryMask] = field(default_factory=dict)
    comparison: tuple[BinaryMask, BinaryMask] | None = None
    chance: random.Random = field(default_factory=random.Random)

    def begin(self, name: str, phrase: str, truth: BinaryMask) -> None:
        """Start a run; `name` seeds the dice, so that every run of it errs alike."""
        self.phrase, self.truth = phrase, truth
        self.panels, self.comparison = {}, None
        self.chance = random.Random(f"{name}:{self.errors}")

    def plan(self) -> dict[str, object]:
        """Answer the question for a plan."""
        believes_there = self._right_or_wrong(bool(self.truth.any()))
        target = {"label": self.phrase, "count": "one", "where": None}
        return {
            "decision": "segment" if believes_there else "absent",
            "modality": "unknown",
            "targets": [target],
            "calls": [self._call()] if believes_there else [],
            "note": None,
        }

    def inspect(self) -> dict[str, object]:
        """Answer the question for a judgement of `panels`."""
        standing = next(
            (mask for label, mask in self.panels.items() if label.startswith(INCUMBENT)), None
        )
        # In the order of their making: panels are shuffled by run, and what errs must not be.
        labels = sorted(self.panels, key=lambda label: (len(label), label))
        masks = [self._judge(label, self.panels[label], standing) for label in labels]
        done = any(mask["verdict"] == "accept" for mask in masks)
        there = self._right_or_wrong(bool(self.truth.any()))
        step = "stop" if done else ("segment" if there else "absent")
        return {
            "masks": masks,
            "complete": [1] if done else [],
            "missing": None,
            "next": step,
            "calls": [self._call()] if step == "segment" else [],
        }

    def compare(self) -> dict[str, object]:
        """Answer a comparison."""
        assert self.comparison is not None
        first, second = (dice(mask, self.truth) for mask in self.comparison)
        right = "same" if abs(first - second) < SAME else ("A" if first > second else "B")
        return {"better": self._word(right, ("A", "B", "same")), "reason": None}

    def _judge(
        self, label: str, mask: BinaryMask, standing: BinaryMask | None
    ) -> dict[str, object]:
        score = dice(mask, self.truth) if self.truth.any() else 0.0
        right = "accept" if score >= ACCEPT else ("partial" if score >= PARTIAL else "reject")
        order = "same"
        if standing is not None and not label.startswith(INCUMBENT):
            gain = score - (dice(standing, self.truth) if self.truth.any() else 0.0)
            order = "same" if abs(gain) < SAME else ("yes" if gain > 0 else "no")
        verdict = self._word(right, VERDICTS)
        return {
            "id": label,
            "verdict": verdict,
            "issue": self._issue(verdict, mask),
            "better_than_incumbent": self._word(order, ORDERS),
        }

    def _issue(self, verdict: str, mask: BinaryMask) -> str:
        if verdict == "accept":
            return "none"
        if verdict == "reject":
            return "wrong_structure" if self.truth.any() else "not_present"
        return "too_large" if mask.sum() > self.truth.sum() else "too_small"

    def _call(self) -> dict[str, object]:
        return {"target": 1, "concept": self.phrase, "bbox_2d": self._box(), "avoid": []}

    def _box(self) -> list[float] | None:
        """Return the moved box in thousandths of the picture, x first."""
        box = mask_box(self.truth) or mask_box(np.ones_like(self.truth))
        if not self.errors.boxes or box is None:
            return None
        height, width = self.truth.shape
        wide, high = box.x1 - box.x0, box.y1 - box.y0
        sides = []
        for side, span, whole in (
            (box.x0, wide, width),
            (box.y0, high, height),
            (box.x1, wide, width),
            (box.y1, high, height),
        ):
            moved = side + self.chance.uniform(-self.errors.box, self.errors.box) * span
            sides.append(1000 * min(max(moved / whole, 0.0), 1.0))
        x0, y0, x1, y1 = sides
        return [min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)]

    def _right_or_wrong(self, truth: bool) -> bool:
        return truth != (self.chance.random() < self.errors.judge)

    def _word(self, right: str, words: tuple[str, ...]) -> str:
        if self.chance.random() >= self.errors.judge:
            return right
        return self.chance.choice([word for word in words if word != right])


Wire = Literal["openai", "gemini"]
