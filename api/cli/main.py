"""The command line: results on stdout, progress on stderr, one clear line for an error.

Exit codes: 0 done (found, not found or uncertain), 1 failed, 2 bad input.
"""

import argparse
import logging
import os
from collections.abc import Callable, MutableMapping, Sequence
from importlib.metadata import entry_points
from typing import Any

from agent.errors import AgentError, InvalidRequest, PlannerNotConfigured
from api import VERSION
from api.bootstrap.backends import WeightsFault, load_backend
from api.bootstrap.setup import Setup
from api.cli import convert, demo, doctor, predict, replay, serve, train, volume
from api.cli.output import BAD_INPUT, FAILED, Command, UsageFault, say
from api.errors import ApiError, InvalidFields
from api.settings import Settings, SettingsError, forbid_tracing, load_settings
from segmenter.backends.contract import Backend
from segmenter.errors import InputError, SegmenterError

SILENCE = logging.NullHandler()
# Entry points of this group take the subparsers and add commands of their own.
FURTHER_COMMANDS = "medsam3.commands"
# What shells use for a program ended by Ctrl-C.
INTERRUPTED = 130

BAD_INPUTS = (UsageFault, SettingsError, InvalidFields, InputError, InvalidRequest)
FAILURES = (WeightsFault, SegmenterError, AgentError, ApiError, OSError)


def main(
    argv: Sequence[str] | None = None,
    environ: MutableMapping[str, str] = os.environ,
    load: Callable[[Settings], Backend[Any]] = load_backend,
) -> int:
    """Run one command with the model that `load` gives, and return its exit code."""
    arguments = _parser().parse_args(argv)
    forbid_tracing(environ)
    # Without any handler Python prints warnings bare; what a person needs to know is said by `say`.
    logging.getLogger().addHandler(SILENCE)
    run: Command = arguments.run
    try:
        return run(arguments, Setup(load_settings(environ), load))
    except (*BAD_INPUTS, PlannerNotConfigured) as error:
        say(f"error: {explain(error)}")
        return BAD_INPUT
    except FAILURES as error:
        say(f"error: {explain(error)}")
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def explain(error: Exception) -> str:
    """Say in one line what went wrong."""
    if isinstance(error, InvalidFields):
        return "; ".join(f"{fault.field}: {fault.message}" for fault in error.faults)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="medsam3",
        description="Segment medical images from plain clinical words. Not a medical device.",
    )
    parser.add_argument("--version", action="version", version=f"medsam3 {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (demo, predict, volume, replay, serve, doctor, train, convert):
        module.add_commands(commands)
    for further in sorted(entry_points(group=FURTHER_COMMANDS), key=lambda found: found.name):
        further.load()(commands)
    return parser
