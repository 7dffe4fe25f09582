"""``medsam3 segment`` and ``medsam3 ask``: one image, in this process, no server needed."""

import argparse
import asyncio
from collections.abc import Iterable
from pathlib import Path

from agent.drawing.overlay import LabelledMask, draw_overlay
from agent.schemas.plan import MAX_ROUNDS
from api.bootstrap.parts import open_parts
from api.bootstrap.setup import Setup
from api.cli.output import (
    FAILED,
    OK,
    Commands,
    UsageFault,
    add_output_options,
    describe_mask,
    pixels_of,
    read_image,
    say,
    tell,
    write_results,
)
from api.operations import answer_prompts, check_request
from api.render.runs import to_run_answer
from api.schemas.answers import ConceptResult, MaskOut, SegmentAnswer
from api.schemas.faults import checked
from api.schemas.requests import AgentBody, SegmentBody
from api.schemas.run_answers import RunAnswer, TargetOut
from api.schemas.shortcuts import box_of_text, with_prompts


def add_commands(commands: Commands) -> None:
    """Declare both commands."""
    segment = commands.add_parser("segment", help="segment concepts or boxes of one image")
    segment.add_argument("image", type=Path, metavar="IMAGE")
    segment.add_argument("--concept", action="append", default=[], help="may be given repeatedly")
    segment.add_argument(
        "--box", action="append", default=[], metavar="x0,y0,x1,y1", help="in pixels of the image"
    )
    segment.add_argument("--threshold", type=float, help="drop masks whose score is below it")
    segment.add_argument("--max-masks", type=int, default=20, help="per concept")
    add_output_options(segment)
    segment.set_defaults(run=run_segment)

    ask = commands.add_parser("ask", help="segment one image by a request in plain words")
    ask.add_argument("image", type=Path, metavar="IMAGE")
    ask.add_argument("request", metavar="REQUEST")
    ask.add_argument("--box", metavar="x0,y0,x1,y1", help="where it is, in pixels of the image")
    ask.add_argument("--max-rounds", type=int, default=MAX_ROUNDS)
    ask.add_argument("--planner", default="auto", help="auto, rules, gemini or openai")
    add_output_options(ask)
    ask.set_defaults(run=run_ask)


def run_segment(arguments: argparse.Namespace, setup: Setup) -> int:
    """Run direct prompts."""
    if not arguments.concept and not arguments.box:
        raise UsageFault("give --concept or --box; medsam3 capabilities lists the concepts known")
    if len(arguments.concept) > 1 and arguments.box:
        raise UsageFault("--box goes with one --concept; run the command once for each concept")
    boxes = [box_of_text(text) for text in arguments.box]
    fields = {"threshold": arguments.threshold, "max_masks": arguments.max_masks}
    body = checked(SegmentBody, with_prompts(fields, arguments.concept, boxes))
    content = read_image(arguments.image)
    answer, overlay = asyncio.run(_segment(setup, body, content))
    if arguments.out:
        write_results(
            arguments.out, answer, masks_of(answer.results), overlay, name=arguments.image.name
        )
    tell(answer, arguments, _print_results)
    return OK


def run_ask(arguments: argparse.Namespace, setup: Setup) -> int:
    """Run a request through the agent."""
    fields: dict[str, object] = {
        "request": arguments.request,
        "max_rounds": arguments.max_rounds,
        "planner": arguments.planner,
    }
    if arguments.box:
        fields["box"] = box_of_text(arguments.box)
    body = checked(AgentBody, fields)
    answer, overlay = asyncio.run(ask(setup, body, read_image(arguments.image)))
    if arguments.out:
        write_results(
            arguments.out, answer, masks_of(answer.targets), overlay, name=arguments.image.name
        )
    tell(answer, arguments, _print_run)
    return FAILED if answer.status == "failed" else OK


async def ask(setup: Setup, body: AgentBody, content: bytes) -> tuple[RunAnswer, bytes]:
    """Run a request in this process; return the run and its overlay (PNG)."""
    say("loading the model")
    async with open_parts(setup.embedded()) as parts:
        image = await parts.images.put(content)
        check_request(body, image)
        say(f"{image.width} x {image.height} {image.format}; looking")
        run = await parts.agent.run(body.to_request(image))
        return to_run_answer(run), await parts.agent.pictures.overlay_png(run.id)


async def _segment(setup: Setup, body: SegmentBody, content: bytes) -> tuple[SegmentAnswer, bytes]:
    say("loading the model")
    async with open_parts(setup.embedded()) as parts:
        answer = await answer_prompts(
            parts, body, content, timeout_s=setup.settings.segment_timeout_s
        )
        image = await parts.images.ref(answer.image.image_id)
        pixels = await parts.images.pixels(image)
    shown = [
        LabelledMask(f"{mask.id} {mask.label}", pixels_of(mask), detail=_area(mask))
        for mask in masks_of(answer.results)
    ]
    return answer, draw_overlay(pixels, shown, spacing=image.spacing)


def _area(mask: MaskOut) -> str:
    return f"{mask.area_px} px" if mask.area_mm2 is None else f"{mask.area_mm2:.4g} mm2"


def masks_of(results: Iterable[ConceptResult | TargetOut]) -> list[MaskOut]:
    """All masks of prompts, or of a run's targets."""
    return [mask for result in results for mask in result.masks]


def _print_run(answer: RunAnswer) -> None:
    for target in answer.targets:
        print(f"{target.label}: {target.status}")
        for mask in target.masks:
            print(describe_mask(mask))
    print(answer.error or answer.message)
    print_footer(answer.needs_review, answer.provenance.seconds)


def _print_results(answer: SegmentAnswer) -> None:
    for result in answer.results:
        name = result.concept or result.text or "box"
        if not result.masks:
            print(f"{name}: {result.reason or 'looked and found none'}")
            continue
        print(f"{name}: {len(result.masks)} found, presence {result.presence:.2f}")
        for mask in result.masks:
            print(describe_mask(mask))
    print_footer(answer.needs_review, answer.provenance.seconds)


def print_footer(needs_review: bool | None, seconds: float) -> None:
    """Say what every result ends with."""
    review = "a person should look at this; " if needs_review else ""
    print(f"{review}{seconds:.1f} s; not a medical device")
