"""``medsam3 train compact`` and ``medsam3 train export``: make the bundled weights anew."""

import argparse

from api.cli_output import OK, Commands, UsageFault
from api.wiring import Setup
from segmenter.training.options import add_export_options, add_stages_options

INSTALL = "pip install torch==2.13.0, then pip install 'medsam3-agent[train]'"
TRAINING_PACKAGES = ("torch", "onnx", "onnxscript")


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
    compact.set_defaults(run=run_compact)
    export = kinds.add_parser(
        "export",
        help="calibrate a run and write it as a folder of weights",
        description="Export a run, calibrate it on its validation images and write the folder "
        f"that the service loads. Needs torch: {INSTALL}.",
    )
    add_export_options(export)
    export.set_defaults(run=run_export)


def run_compact(arguments: argparse.Namespace, setup: Setup) -> int:
    """Train the bundled model."""
    try:
        from segmenter.training import compact

        compact.run_stages(arguments)
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    except ValueError as error:
        raise UsageFault(str(error)) from error
    return OK


def run_export(arguments: argparse.Namespace, setup: Setup) -> int:
    """Write a trained run as a folder of weights."""
    try:
        from segmenter.training import compact

        compact.run_export(arguments)
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    except ValueError as error:
        raise UsageFault(str(error)) from error
    return OK


def _missing(error: ModuleNotFoundError) -> Exception:
    """Say how to install what training needs; another missing module is a fault of ours."""
    if (error.name or "").split(".")[0] not in TRAINING_PACKAGES:
        return error
    return UsageFault(f"training needs {error.name}: {INSTALL}")
