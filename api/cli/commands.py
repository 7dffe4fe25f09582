"""The command line: results on stdout, progress on stderr, one clear line for an error."""

import argparse
import logging
from collections.abc import Callable, MutableMapping, Sequence
from importlib.metadata import entry_points
from typing import Any

from agent.errors import AgentError, InvalidRequest, PlannerNotConfigured
from api import VERSION
from api.bootstrap.backends import WeightsFault, load_backend
from api.bootstrap.setup import Setup
from api.cli import convert, demo, doctor, predict, replay, serve, train
from api.cli.ask import chat
from api.cli.ask import command as ask
from api.cli.output import BAD_INPUT, FAILED, Command, UsageFault, explain, say
from api.cli.volume import command as volume
from api.errors import ApiError, InvalidFields
from api.settings import Settings, SettingsError, forbid_tracing, load_settings
from segmenter.backends.contract import Backend
from segmenter.errors import InputError, SegmenterError

SILENCE = logging.NullHandler()
# Entry points of this group take the subparsers and add commands of their own.
FURTHER_COMMANDS = "medsam3.commands"

BAD_INPUTS = (UsageFault, SettingsError, InvalidFields, InputError, InvalidRequest)
FAILURES = (WeightsFault, SegmenterError, AgentError, ApiError, OSError)


def run_command(
    argv: Sequence[str] | None,
    environ: MutableMapping[str, str],
    load: Callable[[Settings], Backend[Any]] | None,
) -> int:
    """Run one command, see `api.cli.main`, and return its exit code."""
    arguments = _parser().parse_args(argv)
    forbid_tracing(environ)
    # Without any handler Python prints warnings bare; what a person needs to know is said by `say`.
    logging.getLogger().addHandler(SILENCE)
    run: Command = arguments.run
    try:
        return run(arguments, Setup(load_settings(environ), load or load_backend))
    except (*BAD_INPUTS, PlannerNotConfigured) as error:
        say(f"error: {explain(error)}")
        return BAD_INPUT
    except FAILURES as error:
        say(f"error: {explain(error)}")
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="medsam3",
        description="Segment medical images from plain clinical words. Not a medical device.",
    )
    parser.add_argument("--version", action="version", version=f"medsam3 {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (demo, ask, chat, predict, volume, replay, serve, doctor, train, convert):
        module.add_commands(commands)
    for further in sorted(entry_points(group=FURTHER_COMMANDS), key=lambda found: found.name):
        further.load()(commands)
    return parser
