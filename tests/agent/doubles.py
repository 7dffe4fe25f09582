"""Doubles of the agent's tests: a scripted tool, scripted planners, stores in memory, a clock."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from agent.contract import Inspected, Planned, PlanQuestion, RoundView
from agent.schemas.plan import Call, Plan, Target
from agent.schemas.rounds import Inspection, Usage, Verdict
from agent.schemas.runs import AgentRequest
from agent.service import AgentContext, AgentService, AgentSettings
from segmenter.contract import (
    BinaryMask,
    Box,
    Capabilities,
    Hold,
    ImageRef,
    Mask,
    ModelInfo,
    PixelValues,
    PromptResult,
    RgbImage,
    SegmentRequest,
    SegmentResult,
    Spacing,
)
from segmenter.errors import ImageNotFound
from segmenter.masks.geometry import mask_box
from segmenter.masks.rle import encode
from segmenter.storage.luma import luma
from segmenter.storage.memory import MemoryStore

SIZE = 64
MODEL = ModelInfo(kind="scripted", weights_id="scripted-1", weights_sha256="0" * 64)
CONCEPTS = (
    "breast tumor",
    "polyp",
    "skin lesion",
    "optic disc",
    "optic cup",
    "retinal vessels",
    "nuclei",
    "lungs",
    "lung infection",
    "brain tumor",
    "left ventricle",
    "right ventricle",
    "myocardium",
    "prostate",
)


def capabilities(**changes: object) -> Capabilities:
    values: dict[str, object] = {
        "model": MODEL,
        "concepts": CONCEPTS,
        "prompts": ("text", "box", "text+box"),
        "negative_boxes": False,
        "threshold": 0.5,
    }
    return Capabilities.model_validate(values | changes)


def picture(level: int = 60) -> RgbImage:
    """A grey square with a bright middle: uint8, shape (64, 64, 3)."""
    pixels = np.full((SIZE, SIZE, 3), level, dtype=np.uint8)
    pixels[20:40, 20:40] = 200
    return pixels


def image_ref(name: str = "picture", **changes: object) -> ImageRef:
    digest = hashlib.sha256(name.encode()).hexdigest()
    values = {"sha256": digest, "width": SIZE, "height": SIZE, "format": "png"}
    return ImageRef.model_validate(values | changes)


def square(x0: int, y0: int, x1: int, y1: int) -> BinaryMask:
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


def to_mask(mask: BinaryMask, *, joint: float = 0.9, stability: float = 0.95) -> Mask:
    box = mask_box(mask)
    assert box is not None
    return Mask(
        rle=encode(mask),
        box=box,
        score=joint,
        presence=1.0,
        joint=joint,
        area_px=int(mask.sum()),
        stability=stability,
    )


MIDDLE = square(20, 20, 40, 40)


def found(*masks: BinaryMask, joint: float = 0.9, presence: float = 0.9) -> PromptResult:
    return PromptResult(
        masks=tuple(to_mask(mask, joint=joint) for mask in masks), concept=None, presence=presence
    )


def nothing(presence: float = 0.05) -> PromptResult:
    return PromptResult(masks=(), concept=None, presence=presence, reason="found none")


UNKNOWN_CONCEPT = PromptResult(masks=(), concept=None, presence=0.0, known=False, reason="unknown")


class ScriptedSegmenter:
    """Answers by concept ("box" for a box alone, "concept+box" for both); notes every request."""

    def __init__(
        self,
        answers: dict[str, PromptResult] | None = None,
        *,
        can: Capabilities | None = None,
        failures: Sequence[Exception | None] = (),
        down: Exception | None = None,
    ) -> None:
        self.answers = answers or {}
        self.can = can or capabilities()
        self.failures = list(failures)
        self.down = down
        self.requests: list[SegmentRequest] = []

    async def segment(self, request: SegmentRequest, *, timeout_s: float) -> SegmentResult:
        self.requests.append(request)
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        return SegmentResult(
            image=request.image,
            results=tuple(
                self._answer(prompt.text, bool(prompt.boxes), request.threshold)
                for prompt in request.prompts
            ),
            model=MODEL,
            embedding_cached=False,
            encode_s=0.0,
            predict_s=0.0,
        )

    def _answer(self, text: str | None, boxed: bool, threshold: float | None) -> PromptResult:
        key = f"{text}+box" if text and boxed else text or "box"
        limit = self.can.threshold if threshold is None else threshold
        answer = self.answers.get(key) or self.answers.get(text or "box")
        if answer is None:
            known = text is None or self.can.concepts is None or text in self.can.concepts
            return nothing() if known else UNKNOWN_CONCEPT
        kept = tuple(mask for mask in answer.masks if mask.joint >= limit)
        return answer.model_copy(update={"masks": kept})

    async def capabilities(self, *, timeout_s: float) -> Capabilities:
        if self.down is not None:
            raise self.down
        return self.can

    def asked(self) -> list[list[str]]:
        """Concepts per request, "box" for a box alone."""
        return [
            [
                f"{prompt.text}+box" if prompt.text and prompt.boxes else prompt.text or "box"
                for prompt in request.prompts
            ]
            for request in self.requests
        ]


class MemoryImages:
    def __init__(self, pixels: RgbImage | None = None) -> None:
        self.shown = picture() if pixels is None else pixels
        self.gone: list[str] = []
        self.holders: list[str] = []

    async def put(self, content: bytes, *, hold: Hold | None = None) -> ImageRef:
        raise NotImplementedError

    async def ref(self, image_id: str, *, hold: Hold | None = None) -> ImageRef:
        if image_id.removeprefix("img_") in self.gone:
            raise ImageNotFound("image is gone")
        if hold is not None:
            self.holders.append(hold.holder)
        return image_ref()

    async def pixels(self, ref: ImageRef) -> RgbImage:
        if ref.sha256 in self.gone:
            raise ImageNotFound("image is gone")
        return self.shown

    async def values(self, ref: ImageRef) -> PixelValues:
        return luma(await self.pixels(ref))

    async def delete(self, ref: ImageRef) -> None:
        self.gone.append(ref.sha256)

    async def release(self, holder: str) -> None:
        self.holders = [each for each in self.holders if each != holder]


class MemoryRecords(MemoryStore):
    """The store in memory, whose records a test may look at."""

    def __init__(self) -> None:
        super().__init__(max_bytes=64_000_000, max_item_bytes=16_000_000)

    @property
    def records(self) -> dict[str, bytes]:
        kept = {key: self._items.get(key) for key in list(self._items)}
        return {key: record for key, record in kept.items() if record is not None}


Judge = Callable[[RoundView], Inspection]


class ScriptedPlanner:
    """A model that says what the test tells it; an exception in its script is raised."""

    def __init__(
        self,
        plan: Plan | Exception,
        inspections: Sequence[Judge | Exception] = (),
        comparisons: Sequence[Literal["first", "second", "same"] | Exception] = (),
    ) -> None:
        self._plan = plan
        self._inspections = list(inspections)
        self._comparisons = list(comparisons)
        self.looks: list[RoundView] = []
        self.questions: list[PlanQuestion] = []
        self.usage = Usage(calls=1)
        self.compared: list[tuple[tuple[str, ...], tuple[str, ...]]] = []

    @property
    def kind(self) -> Literal["rules", "gemini", "openai"]:
        return "gemini"

    @property
    def model(self) -> str | None:
        return "scripted"

    async def plan(self, question: PlanQuestion, *, timeout_s: float) -> Planned:
        self.questions.append(question)
        if isinstance(self._plan, Exception):
            raise self._plan
        return Planned(plan=self._plan, usage=self.usage)

    async def inspect(self, view: RoundView, *, timeout_s: float) -> Inspected:
        self.looks.append(view)
        judge = self._inspections.pop(0)
        if isinstance(judge, Exception):
            raise judge
        return Inspected(inspection=judge(view), usage=self.usage)

    async def compare(
        self, view: RoundView, first: tuple[str, ...], second: tuple[str, ...], *, timeout_s: float
    ) -> tuple[Literal["first", "second", "same"], Usage]:
        self.compared.append((first, second))
        answer = self._comparisons.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer, self.usage


def fresh(view: RoundView) -> list[str]:
    """Ids of the round's own candidates."""
    standing = {one for ids in view.incumbents.values() for one in ids}
    return [one.id for one in view.candidates if one.id not in standing]


def judging(
    word: Literal["accept", "partial", "reject"],
    *,
    issue: str = "none",
    better: Literal["yes", "no", "same"] = "same",
    next: Literal["stop", "segment", "absent"] = "stop",
    calls: tuple[Call, ...] = (),
) -> Judge:
    """The same word on every new candidate."""

    def judge(view: RoundView) -> Inspection:
        verdicts = tuple(
            Verdict.model_validate(
                {
                    "candidate": one,
                    "verdict": word,
                    "issue": issue,
                    "better_than_incumbent": better,
                    "by": "mllm",
                }
            )
            for one in fresh(view)
        )
        done = {target.id: word == "accept" for target in view.plan.targets}
        return Inspection(verdicts=verdicts, complete=done, next=next, calls=calls)

    return judge


def target(label: str = "polyp", **changes: object) -> Target:
    values: dict[str, object] = {"id": "t1", "label": label, "phrases": (label,), "count": "one"}
    return Target.model_validate(values | changes)


def plan_for(*targets: Target, decision: str = "segment", calls: tuple[Call, ...] = ()) -> Plan:
    return Plan.model_validate(
        {"decision": decision, "modality": "unknown", "targets": targets, "calls": calls}
    )


class Clock:
    """Seconds that pass only when the test says so, or a little with every view."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.time_s = 0.0
        self._step_s = step_s

    def __call__(self) -> float:
        self.time_s += self._step_s
        return self.time_s


class World:
    """A service over doubles, with its doubles at hand."""

    def __init__(
        self,
        segmenter: ScriptedSegmenter,
        planner: ScriptedPlanner | None = None,
        *,
        pixels: RgbImage | None = None,
        clock: Clock | None = None,
        settings: AgentSettings | None = None,
    ) -> None:
        self.segmenter = segmenter
        self.planner = planner
        self.images = MemoryImages(pixels)
        self.records = MemoryRecords()
        self.service = AgentService(
            AgentContext(
                segmenter=segmenter,
                images=self.images,
                records=self.records,
                planners={"gemini": planner} if planner else {},
                default_planner="gemini" if planner else "rules",
                settings=settings or AgentSettings(),
                clock=clock or Clock(),
            )
        )


def request(text: str = "outline the polyp", **changes: object) -> AgentRequest:
    values: dict[str, object] = {"request": text, "image": image_ref()}
    return AgentRequest.model_validate(values | changes)


def box(x0: float, y0: float, x1: float, y1: float) -> Box:
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


SPACING = Spacing(row_mm=0.5, column_mm=2.0, source="PixelSpacing")
