"""Small questions and looks, built in code."""

import numpy as np

from agent.contract import PlanQuestion, RoundView
from agent.language.lexicon import load_lexicon
from agent.language.request import read_request
from agent.schemas.plan import Call, Plan, Target
from agent.schemas.rounds import Candidate, Inspection, Issue, Round, Verdict
from segmenter.contract import (
    BinaryMask,
    Box,
    BoxPrompt,
    Capabilities,
    ImageRef,
    Mask,
    ModelInfo,
    RgbImage,
)
from segmenter.masks.geometry import mask_box
from segmenter.masks.rle import encode

WIDTH, HEIGHT = 64, 48
PIXELS: RgbImage = np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8)
IMAGE = ImageRef(sha256="0" * 64, width=WIDTH, height=HEIGHT, format="png", modality="US")
TOOL = Capabilities(
    model=ModelInfo(kind="scripted", weights_id="w", weights_sha256="0" * 64),
    concepts=None,
    prompts=("text", "box", "text+box"),
    negative_boxes=True,
    threshold=0.5,
)


def rectangle(left: int, top: int, right: int, bottom: int) -> BinaryMask:
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def question(request: str = "outline the tumour", **rest: object) -> PlanQuestion:
    intent = read_request(request, load_lexicon())
    return PlanQuestion(
        request=request,
        intent=intent,
        image=IMAGE,
        pixels=PIXELS,
        capabilities=TOOL,
        **rest,  # type: ignore[arg-type]
    )


def candidate(
    name: str, mask: BinaryMask, *, round: int = 1, call: int = 0, joint: float = 0.5,
    target: str = "t1",
) -> Candidate:  # fmt: skip
    box = mask_box(mask)
    assert box is not None
    return Candidate(
        id=name,
        target=target,
        round=round,
        call=call,
        concept="breast tumor",
        mask=Mask(
            rle=encode(mask),
            box=box,
            score=joint,
            presence=1.0,
            joint=joint,
            area_px=int(mask.sum()),
            stability=0.9,
        ),
    )


def round_view(
    masks: dict[str, BinaryMask],
    *,
    number: int = 1,
    incumbents: dict[str, tuple[str, ...]] | None = None,
    targets: int = 1,
    seed: int = 7,
    same_call: bool = False,
) -> RoundView:
    """Return a view of a round whose candidates are `masks`; incumbents come from round 1."""
    standing = {name for ids in (incumbents or {}).values() for name in ids}
    candidates = tuple(
        candidate(
            name,
            mask,
            round=1 if name in standing else number,
            call=0 if same_call else place,
            joint=0.9 - place / 100,
            target=f"t{place % targets + 1}",
        )
        for place, (name, mask) in enumerate(masks.items())
    )
    plan = Plan(
        decision="segment",
        modality="ultrasound",
        targets=tuple(
            Target(id=f"t{n}", label=f"tumour {n}", phrases=("breast tumor",), where="upper left")
            for n in range(1, targets + 1)
        ),
        calls=(),
    )
    boxed = Call(
        target="t1",
        concept="breast tumor",
        boxes=(BoxPrompt(box=Box(x0=8, y0=6, x1=32, y1=24)),),
    )
    past = Round(
        number=1,
        calls=(boxed, Call(target="t1", concept="mass")),
        candidates=("m1",),
        reasons=("", "nothing found"),
        inspection=Inspection(
            verdicts=(Verdict(candidate="m1", verdict="partial", issue=Issue.LEAK),)
        ),
        planner="gemini",
    )
    return RoundView(
        question=question(),
        plan=plan,
        number=number,
        calls=(Call(target="t1", concept="hypoechoic mass"),),
        candidates=candidates,
        masks=masks,
        incumbents=incumbents or {},
        history=(past,) if number > 1 else (),
        seed=seed,
    )


def plan_answer(key: str = "box_2d", **changes: object) -> dict[str, object]:
    """The answer to ``plan.md`` of a model that names its boxes `key`."""
    call = {"target": 1, "concept": "breast tumor", key: [100, 200, 500, 600], "avoid": []}
    return {
        "decision": "segment",
        "modality": "ultrasound",
        "targets": [
            {
                "label": "Tumour",
                "words": "tumour",
                "count": "one",
                "where": "upper left",
                "which": [],
            }
        ],
        "calls": [call],
        "operations": [],
        "questions": [],
        "talk": None,
        "context": [],
        "not_understood": [],
        "note": None,
        **changes,
    }


def mask_answer(name: str, verdict: str, issue: str = "none", better: str = "same") -> object:
    """A verdict on one panel, as a model writes it."""
    return {"id": name, "verdict": verdict, "issue": issue, "better_than_incumbent": better}


def inspect_answer(**changes: object) -> dict[str, object]:
    """The answer to ``inspect.md`` of a model that is content with panel M2."""
    return {
        "masks": [mask_answer("M2", "accept", better="yes")],
        "complete": [1],
        "missing": None,
        "next": "stop",
        "calls": [],
        **changes,
    }
