"""What the agent is worth: direct prompts against rules and against planners with known errors.

python -m benchmarks.agent_lift --data ../shared/data --limit 40 --out out/lift
"""

import argparse
import asyncio
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from agent.schemas.plan import MAX_ROUNDS
from agent.schemas.runs import RunRecord
from api.bootstrap.parts import open_services
from api.bootstrap.setup import Setup
from api.settings import Settings
from benchmarks.evaluation.cases import first_images, read_cases
from benchmarks.evaluation.truth import read_mask
from benchmarks.lift.arms import Outcome, Question, ask_direct, ask_oracle, ask_rules
from benchmarks.lift.oracle import Errors, Wire
from benchmarks.lift.story import draw_story, interest
from segmenter.services import SegmenterServices

SETS = ("busi", "kvasir_seg", "isic2018", "drishti_gs", "lgg_mri")
BOX_ERRORS = (0.0, 0.10, 0.25, 0.40)
JUDGE_ERRORS = (0.0, 0.10, 0.30)
USUAL = Errors(box=0.25, judge=0.10)


class Line(NamedTuple):
    """One arm on one set; None where the set has no such images."""

    arm: str
    dataset: str
    images: int
    dice: float | None
    specificity: float | None
    calls: float
    tokens: float
    seconds: float
    swaps: int
    unearned: int


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agent_lift")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--split", default="test")
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--limit", type=int, help="images per set")
    parser.add_argument("--wire", choices=["openai", "gemini"], default="openai")
    parser.add_argument(
        "--settings", nargs="+", help="percent of box and judge, such as 25/10; default: all"
    )
    parser.add_argument("--out", type=Path, default=Path("out/lift"))
    asked = parser.parse_args(argv)
    asked.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(_compare(asked))
    return 0


async def _compare(asked: argparse.Namespace) -> None:
    cases = first_images(read_cases(asked.data, asked.sets, asked.split), asked.limit)
    async with open_services(Setup(Settings())) as services:
        questions = [
            Question(
                case=case,
                image=await services.images.put(case.image.read_bytes()),
                truth=read_mask(case.mask.read_bytes()),
            )
            for case in cases
            if case.mask is not None
        ]
        lines: list[Line] = []
        for name, outcomes in [
            ("direct", await ask_direct(services, questions)),
            ("rules", await ask_rules(services, questions)),
            *await _oracles(services, questions, asked),
        ]:
            lines += summarise(name, questions, outcomes)
            if name == _name(USUAL):
                await _draw(services, questions, outcomes, asked.out)
                bare = [each._replace(dice=each.no_ledger) for each in outcomes]
                lines += summarise(f"{name}, no ledger", questions, bare)
    _write(asked.out / "lift.csv", lines)
    print(table(lines))


async def _draw(
    services: SegmenterServices,
    questions: Sequence[Question],
    outcomes: Sequence[Outcome],
    out: Path,
) -> None:
    """Draw for each set how its most telling run went."""
    best: dict[str, tuple[tuple[int, float], Question, RunRecord]] = {}
    for question, outcome in zip(questions, outcomes, strict=True):
        if outcome.run is None or outcome.dice is None:
            continue
        rank = interest(outcome.run, outcome.dice - (outcome.first or 0.0))
        known = best.get(question.case.dataset)
        if known is None or rank > known[0]:
            best[question.case.dataset] = (rank, question, outcome.run)
    for name, (_, question, run) in best.items():
        pixels = await services.images.pixels(question.image)
        (out / f"story_{name}.png").write_bytes(draw_story(pixels, run, question.truth))


def _settings(wanted: Sequence[str] | None) -> list[Errors]:
    if wanted is None:
        return [Errors(box, judge) for box in BOX_ERRORS for judge in JUDGE_ERRORS]
    pairs = [each.split("/") for each in wanted]
    return [Errors(float(box) / 100, float(judge) / 100) for box, judge in pairs]


async def _oracles(
    services: SegmenterServices, questions: Sequence[Question], asked: argparse.Namespace
) -> list[tuple[str, list[Outcome]]]:
    wire: Wire = asked.wire
    settings = _settings(asked.settings)
    found = []
    for errors in settings:
        outcomes = await ask_oracle(services, questions, errors, wire=wire)
        found.append((_name(errors), outcomes))
        print(f"{_name(errors)} done", file=sys.stderr, flush=True)
    for name, errors, rounds in (
        ("no box", USUAL._replace(boxes=False), MAX_ROUNDS),
        ("one round", USUAL, 1),
    ):
        outcomes = await ask_oracle(services, questions, errors, wire=wire, rounds=rounds)
        found.append((f"{_name(USUAL)}, {name}", outcomes))
    return found


def _name(errors: Errors) -> str:
    return f"box {errors.box:.0%}, judge {errors.judge:.0%}"


def summarise(arm: str, questions: Sequence[Question], outcomes: Sequence[Outcome]) -> list[Line]:
    """Return a line for each set, in the order of the questions."""
    sets = dict.fromkeys(question.case.dataset for question in questions)
    lines = []
    for name in sets:
        mine = [o for q, o in zip(questions, outcomes, strict=True) if q.case.dataset == name]
        scores = [each.dice for each in mine if each.dice is not None]
        empty = [not each.drew for each in mine if each.dice is None]
        lines.append(
            Line(
                arm,
                name,
                len(mine),
                float(np.mean(scores)) if scores else None,
                float(np.mean(empty)) if empty else None,
                float(np.mean([each.calls for each in mine])),
                float(np.mean([each.tokens for each in mine])),
                float(np.mean([each.seconds for each in mine])),
                sum(each.swaps for each in mine),
                sum(each.unearned for each in mine),
            )
        )
    return lines


def table(lines: Sequence[Line]) -> str:
    """Return Markdown: mean Dice by arm and set, with specificity where something is absent."""
    sets = list(dict.fromkeys(line.dataset for line in lines))
    head = ["", *sets, "mean", "calls", "seconds"]
    rows = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for arm in dict.fromkeys(line.arm for line in lines):
        mine = {line.dataset: line for line in lines if line.arm == arm}
        scores = [line.dice for line in mine.values() if line.dice is not None]
        cells = [_cell(mine[name]) for name in sets]
        calls = float(np.mean([line.calls for line in mine.values()]))
        seconds = float(np.mean([line.seconds for line in mine.values()]))
        tail = [f"{np.mean(scores):.3f}", f"{calls:.1f}", f"{seconds:.2f}"]
        rows.append("| " + " | ".join([arm, *cells, *tail]) + " |")
    return "\n".join(rows)


def _cell(line: Line) -> str:
    score = "" if line.dice is None else f"{line.dice:.3f}"
    return score if line.specificity is None else f"{score} ({line.specificity:.2f})"


def _write(path: Path, lines: Sequence[Line]) -> None:
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(Line._fields)
        writer.writerows(lines)


if __name__ == "__main__":
    sys.exit(main())
