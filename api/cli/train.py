"""``medsam3 train``: make the bundled weights anew (compact, export), or fine-tune SAM 3 (sam3)."""

import argparse

from api.bootstrap.backends import SAM3_INSTALL, WeightsFault
from api.bootstrap.setup import Setup
from api.cli.output import OK, Commands, UsageFault, optional, say
from segmenter.training.compact.options import add_export_options, add_stages_options
from segmenter.training.sam3.options import add_sam3_options

INSTALL = "pip install torch==2.13.0, then pip install 'medsam3-agent[train]'"
TRAINING_PACKAGES = ("torch", "onnx", "onnxscript")
SAM3_PACKAGES = ("torch", "transformers", "peft", "safetensors", "scipy", "ftfy", "huggingface_hub")


def add_commands(commands: Commands) -> None:
    """Declare the commands."""
    train = commands.add_parser("train", help="train the bundled model, or export a trained one")
    kinds = train.add_subparsers(required=True, metavar="WHAT")
    compact = kinds.add_parser(
        "compact",
        help="train it in all its stages",
        description="Train the bundled model, each stage from the weights of the one before. "
        f"Needs torch: {INSTALL}.",
    )
    add_stages_options(compact)
    compact.set_defaults(run=run_compact, exports=False)
    export = kinds.add_parser(
        "export",
        help="calibrate a run and write it as a folder of weights",
        description="Export a run, calibrate it on its validation images and write the folder "
        f"that the service loads. Needs torch: {INSTALL}.",
    )
    add_export_options(export)
    export.set_defaults(run=run_compact, exports=True)
    sam3 = kinds.add_parser(
        "sam3",
        help="fine-tune SAM 3's detector on your pictures",
        description="Fine-tune the detector of SAM 3 as MedSAM-3 was, as a whole or by an adapter; "
        f"both encoders stay as they are. Needs SAM 3's packages: {SAM3_INSTALL}.",
    )
    add_sam3_options(sam3)
    sam3.set_defaults(run=run_sam3)


def run_compact(arguments: argparse.Namespace, setup: Setup) -> int:
    """Train the bundled model, or write a trained run as a folder of weights."""
    with optional(TRAINING_PACKAGES, "training", INSTALL):
        from segmenter.training.compact import command as compact

        step = compact.run_export if arguments.exports else compact.run_stages
        try:
            step(arguments)
        except ValueError as error:
            raise UsageFault(str(error)) from error
    return OK


def run_sam3(arguments: argparse.Namespace, setup: Setup) -> int:
    """Fine-tune SAM 3."""
    with optional(SAM3_PACKAGES, "fine-tuning", SAM3_INSTALL):
        from segmenter.backends.sam3.errors import WeightsError
        from segmenter.training.sam3 import command as sam3
    try:
        sam3.run_tuning(arguments, say)
    except WeightsError as error:
        raise WeightsFault(f"the SAM 3 weights do not load: {error}") from error
    except ValueError as error:
        raise UsageFault(str(error)) from error
    return OK
