"""``medsam3 demo``: a real ultrasound image through the whole agent, measured against its truth."""

import argparse
import asyncio
from pathlib import Path

from pydantic import BaseModel

from agent.drawing.sheets import Panel, draw_sheet
from api.bootstrap.setup import Setup
from api.cli.ask.once import ask
from api.cli.output import FAILED, OK, Commands, describe_mask, pixels_of, say, tell
from api.cli.result_files import masks_of, write_results
from api.schemas.requests import AgentBody
from api.schemas.run_answers import RunAnswer
from segmenter.formats.decode import decode
from segmenter.formats.raster.image import decode_mask_png
from segmenter.masks.geometry import dice, unite

SAMPLES = Path(__file__).parents[1] / "samples"
IMAGE = "busi_tumor.jpg"
TRUTH = "busi_tumor_mask.png"
REQUEST = "Outline the breast tumour"
OUT = Path("out") / "demo"
COMPARISON = "comparison.png"


class DemoOutcome(BaseModel):
    """The run, and its Dice against the ground truth, [0, 1]."""

    dice: float
    run: RunAnswer


def add_commands(commands: Commands) -> None:
    """Declare the command."""
    demo = commands.add_parser("demo", help="outline a breast tumour on a shipped image")
    demo.add_argument("--json", action="store_true", help="print the whole result as JSON")
    demo.add_argument("--out", type=Path, default=OUT, metavar="DIR", help=f"default: {OUT}")
    demo.set_defaults(run=run_demo)


def run_demo(arguments: argparse.Namespace, setup: Setup) -> int:
    """Run the shipped image through the agent and compare with the shipped ground truth."""
    say(f'"{REQUEST}" on {IMAGE} (BUSI, CC BY 4.0, not in the training data)')
    content = (SAMPLES / IMAGE).read_bytes()
    truth = decode_mask_png((SAMPLES / TRUTH).read_bytes())
    answer, overlay = asyncio.run(ask(setup.embedded(), AgentBody(request=REQUEST), content))
    masks = masks_of(answer.targets)
    write_results(arguments.out, answer, masks, overlay)
    found = unite(map(pixels_of, masks), truth.shape)
    panels = (Panel(f'"{REQUEST}"', (found,)), Panel("ground truth", (truth,)))
    (arguments.out / COMPARISON).write_bytes(draw_sheet(decode(content).pixels, panels))
    say(f"written to {arguments.out}/")
    outcome = DemoOutcome(dice=dice(found, truth), run=answer)
    tell(outcome, arguments, lambda outcome: _print_demo(outcome, arguments.out))
    return FAILED if answer.status == "failed" else OK


def _print_demo(outcome: DemoOutcome, folder: Path) -> None:
    for target in outcome.run.targets:
        print(f"target   {target.label}")
        print(f"status   {target.status}")
        for mask in target.masks:
            print(describe_mask(mask))
    print(f"Dice     {outcome.dice:.3f} against the ground truth")
    print(f"seconds  {outcome.run.provenance.seconds:.2f}")
    print(f"look at  {folder / 'overlay.png'}, {folder / COMPARISON}")
    print("Not a medical device.")
