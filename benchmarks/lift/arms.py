"""The ways to ask that are compared, and what each gives for one image."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import SecretStr

from agent.mllm.box_formats import THOUSANDTHS_STYLE
from agent.mllm.factory import build_mllm
from agent.planners.mllm import MllmPlanner
from agent.schemas.plan import MAX_ROUNDS
from agent.schemas.runs import AgentRequest, RunRecord
from agent.service import AgentContext, AgentService
from benchmarks.evaluation.records import Case
from benchmarks.lift.oracle import Errors, Oracle, Wire
from benchmarks.lift.server import serve
from benchmarks.lift.witness import Witness
from segmenter.contract import BinaryMask, ImageRef, Prompt, Rle, SegmentRequest
from segmenter.masks import rle
from segmenter.masks.geometry import dice, unite
from segmenter.services import SegmenterServices

TIMEOUT_S = 120.0
WORDS = "Outline the {phrase}"


class Question(NamedTuple):
    """One image and what is sought in it.

    Attributes:
        truth: bool, shape (H, W); empty where it is not there.
    """

    case: Case
    image: ImageRef
    truth: BinaryMask


class Outcome(NamedTuple):
    """What an arm gave for one question.

    Attributes:
        dice: None where the target is not in the image.
        drew: whether anything was returned.
        calls: of the MLLM.
        tokens: of the MLLM, words only.
        no_ledger: Dice if the last round's best set were returned whatever the ledger says.
        swaps: how often the ledger let a set be replaced.
        unearned: whether the final set differs from the first one without a judged win.
        first: Dice of what stood after the first round.
        run: of the agent.
    """

    dice: float | None
    drew: bool
    seconds: float
    calls: int = 0
    tokens: int = 0
    no_ledger: float | None = None
    swaps: int = 0
    unearned: bool = False
    first: float | None = None
    run: RunRecord | None = None


async def ask_direct(services: SegmenterServices, questions: Sequence[Question]) -> list[Outcome]:
    """Ask each by its phrase, once, as POST /segment does."""
    found = []
    for each in questions:
        started = time.monotonic()
        request = SegmentRequest(image=each.image, prompts=(Prompt(text=each.case.phrase),))
        result = await services.segmenter.segment(request, timeout_s=TIMEOUT_S)
        masks = [mask.rle for mask in result.results[0].masks]
        found.append(Outcome(_dice(masks, each), bool(masks), time.monotonic() - started))
    return found


async def ask_rules(services: SegmenterServices, questions: Sequence[Question]) -> list[Outcome]:
    """Ask the agent with the rules for a planner."""
    agent = AgentService(AgentContext(services.segmenter, services.images, services.records, {}))
    return [await _run(agent, each, MAX_ROUNDS) for each in questions]


async def ask_oracle(
    services: SegmenterServices,
    questions: Sequence[Question],
    errors: Errors,
    *,
    wire: Wire,
    rounds: int = MAX_ROUNDS,
) -> list[Outcome]:
    """Ask the agent with a planner whose errors are known, over a real wire."""
    oracle = Oracle(errors)
    with serve(oracle) as address:
        mllm = build_mllm(
            wire,
            model="oracle",
            api_key=SecretStr("none"),
            base_url=address if wire == "gemini" else f"{address}/v1",
        )
        planner = Witness(MllmPlanner(mllm, style=THOUSANDTHS_STYLE), oracle)
        context = AgentContext(
            services.segmenter,
            services.images,
            services.records,
            {wire: planner},
            default_planner=wire,
        )
        agent, found = AgentService(context), []
        try:
            for each in questions:
                name = f"{each.case.dataset}/{each.case.image_id}/{each.case.phrase}"
                oracle.begin(name, each.case.phrase, each.truth)
                found.append(await _run(agent, each, rounds))
        finally:
            await mllm.aclose()
    return found


async def _run(agent: AgentService, question: Question, rounds: int) -> Outcome:
    words = WORDS.format(phrase=question.case.phrase)
    request = AgentRequest(request=words, image=question.image, max_rounds=rounds)
    started = time.monotonic()
    run = await agent.run(request)
    seconds = time.monotonic() - started
    # Nobody comes back to it; the image is another question's too.
    masks = [mask.candidate.mask.rle for target in run.targets for mask in target.masks]
    usage = run.provenance.usage
    wins = [win for each in run.rounds for win in each.wins]
    final = {mask.candidate.id for target in run.targets for mask in target.masks}
    return Outcome(
        dice=_dice(masks, question),
        drew=bool(masks),
        seconds=seconds,
        calls=usage.calls,
        tokens=usage.input_tokens + usage.output_tokens,
        no_ledger=_dice(_last_round(run), question),
        swaps=sum(bool(win.old) for win in wins),
        first=_dice(_stood_first(run), question),
        run=run,
        unearned=bool(final) and not any(final <= set(win.new) for win in wins),
    )


def _stood_first(run: RunRecord) -> list[Rle]:
    """Return what the ledger let stand first."""
    wins = [win for done in run.rounds for win in done.wins]
    known = {candidate.id: candidate.mask.rle for candidate in run.candidates}
    return [known[name] for name in wins[0].new if name in known] if wins else []


def _last_round(run: RunRecord) -> list[Rle]:
    """Return what a loop without memory would return: the best of the last round that has any."""
    for done in reversed(run.rounds):
        found = [candidate for candidate in run.candidates if candidate.id in done.candidates]
        words = {verdict.candidate: verdict.verdict for verdict in done.inspection.verdicts}
        order = {"accept": 0, "partial": 1}
        ranked = sorted(
            found, key=lambda each: (order.get(words.get(each.id, ""), 2), -each.mask.joint)
        )
        if ranked:
            return [ranked[0].mask.rle]
    return []


def _dice(masks: Sequence[Rle], question: Question) -> float | None:
    if not question.truth.any():
        return None
    found = unite(map(rle.decode, masks), question.truth.shape)
    return dice(found, question.truth)
