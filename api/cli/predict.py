"""``medsam3 segment``: direct prompts on one image, in this process, no server needed."""

import argparse
import asyncio
from pathlib import Path

from agent.drawing.overlay import LabelledMask, draw_overlay
from api.bootstrap.parts import open_parts
from api.bootstrap.setup import Setup
from api.cli.output import (
    OK,
    Commands,
    UsageFault,
    add_output_options,
    describe_mask,
    pixels_of,
    print_footer,
    say,
    tell,
)
from api.cli.result_files import masks_of, write_results
from api.operations import answer_prompts
from api.schemas.answers import MaskOut, SegmentAnswer
from api.schemas.faults import checked
from api.schemas.requests import SegmentBody
from api.schemas.shortcuts import box_of_text, with_prompts


def add_commands(commands: Commands) -> None:
    """Declare the command; `api.cli.volume.command` adds what sequences need, and runs it."""
    segment = commands.add_parser("segment", help="segment concepts or boxes of one image")
    segment.add_argument("image", type=Path, metavar="IMAGE", help="a file; - for standard input")
    segment.add_argument("--concept", action="append", default=[], help="may be given repeatedly")
    segment.add_argument(
        "--box", action="append", default=[], metavar="x0,y0,x1,y1", help="in pixels of the image"
    )
    segment.add_argument("--threshold", type=float, help="drop masks whose score is below it")
    segment.add_argument("--max-masks", type=int, default=20, help="per concept")
    add_output_options(segment)


def run_segment(arguments: argparse.Namespace, setup: Setup, content: bytes) -> int:
    """Run direct prompts on an image."""
    if not arguments.concept and not arguments.box:
        raise UsageFault("give --concept or --box; medsam3 capabilities lists the concepts known")
    if len(arguments.concept) > 1 and arguments.box:
        raise UsageFault("--box goes with one --concept; run the command once for each concept")
    boxes = [box_of_text(text) for text in arguments.box]
    fields = {"threshold": arguments.threshold, "max_masks": arguments.max_masks}
    body = checked(SegmentBody, with_prompts(fields, arguments.concept, boxes))
    answer, overlay = asyncio.run(_segment(setup, body, content))
    if arguments.out:
        write_results(
            arguments.out, answer, masks_of(answer.results), overlay, name=arguments.image.name
        )
        say(f"written to {arguments.out}/")
    tell(answer, arguments, _print_results)
    return OK


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
