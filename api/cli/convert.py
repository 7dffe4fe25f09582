"""``medsam3 convert``: SAM 3 or MedSAM-3 weights as safetensors in transformers' layout."""

import argparse
from pathlib import Path

from api.bootstrap.backends import SAM3_INSTALL
from api.bootstrap.setup import Setup
from api.cli.output import OK, Commands, UsageFault, optional, say

PACKAGES = ("torch", "transformers", "peft", "safetensors", "ftfy", "yaml")


def add_commands(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "convert",
        help="write SAM 3 or MedSAM-3 weights as safetensors",
        description="Write weights in transformers' layout, with configuration and tokenizer: a"
        f" folder for MEDSAM3_SAM3_WEIGHTS. Needs torch: {SAM3_INSTALL}.",
    )
    parser.add_argument(
        "source", help="sam3.pt, *.safetensors, their folder, or a name like facebook/sam3"
    )
    parser.add_argument("out", type=Path, help="folder to write, new or empty")
    parser.add_argument("--lora", type=Path, help="MedSAM-3's LoRA file, or an adapter's folder")
    parser.add_argument("--lora-config", type=Path, help="its YAML, for rank and alpha")
    parser.add_argument("--alpha", type=float, help="of the LoRA, where there is no YAML")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--merge", action="store_true", help="merge the LoRA into the weights")
    how.add_argument("--adapter", action="store_true", help="write it apart (the default)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, setup: Setup) -> int:
    """Convert, and say what was written."""
    with optional(PACKAGES, "converting", SAM3_INSTALL):
        from segmenter.backends.sam3.errors import WeightsError
        from segmenter.backends.sam3.weights.convert import convert
    try:
        done = convert(
            arguments.source,
            arguments.out,
            lora=arguments.lora,
            lora_config=arguments.lora_config,
            alpha=arguments.alpha,
            merged=arguments.merge,
            dtype=arguments.dtype,
        )
    except WeightsError as error:
        raise UsageFault(str(error)) from error
    say(f"{done.tensors} tensors written to {done.weights}/")
    if done.adapter is not None:
        say(f"adapter written to {done.adapter}/")
    return OK
