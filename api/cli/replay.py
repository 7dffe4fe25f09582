"""``medsam3 replay``: a run played again from its record, without model, tool or network."""

import argparse
import asyncio
import re
from pathlib import Path

from pydantic import ValidationError

from agent.runs.replay import Recording, differences, replay
from agent.schemas.runs import RunRecord
from agent.service import AgentContext, AgentService
from api.bootstrap.parts import open_services
from api.bootstrap.setup import Setup
from api.cli.output import FAILED, OK, Commands, UsageFault, read_image, say
from api.settings import variable
from segmenter.contract import RgbImage
from segmenter.formats.decode import decode

RUN_ID = re.compile(r"run_[0-9a-f]{32}")


def add_commands(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("replay", help="play a run again from its record, offline")
    parser.add_argument("recording", metavar="RUN", help="a run's id, or the file of a recording")
    parser.add_argument("--image", type=Path, help="the run's image, for a recording in a file")
    parser.set_defaults(run=run_replay)


def run_replay(arguments: argparse.Namespace, setup: Setup) -> int:
    """Play a run again and say whether the same came out.

    Raises:
        RunNotFound: the stores do not hold it.
        RecordingGap: the loop now asks what it did not ask then.
    """
    path = Path(arguments.recording)
    if path.is_file():
        recording, pixels = _from_file(path, arguments.image)
    elif RUN_ID.fullmatch(arguments.recording):
        recording, pixels = asyncio.run(_from_stores(arguments.recording, setup))
    else:
        raise UsageFault(f"cannot read {path}: {_why_unreadable(path)}")
    replayed = asyncio.run(replay(recording, pixels))
    found = differences(recording.run, replayed)
    for line in found:
        say(line)
    _print(replayed, same=not found)
    return FAILED if found else OK


def _why_unreadable(path: Path) -> str:
    if path.exists():
        return "it is no file"
    return "there is no such file, and it is no id of a run (run_ and 32 hexadecimal digits)"


def _from_file(path: Path, image: Path | None) -> tuple[Recording, RgbImage]:
    if image is None:
        raise UsageFault("a recording in a file needs --image: it holds no pixels")
    try:
        recording = Recording.model_validate_json(path.read_bytes())
    except ValidationError:
        # The text holds a request and must not be repeated.
        raise UsageFault(f"{path.name} is no recording of a run") from None
    return recording, decode(read_image(image)).pixels


async def _from_stores(run_id: str, setup: Setup) -> tuple[Recording, RgbImage]:
    if setup.settings.redis_url is None:
        raise UsageFault(
            f"a run's id needs {variable('redis_url')}; without, give the file of its recording:"
            " curl .../agent/runs/RUN/recording"
        )
    async with open_services(setup) as services:
        context = AgentContext(services.segmenter, services.images, services.records, {})
        recording = await AgentService(context).recording(run_id)
        return recording, await services.images.pixels(recording.run.image)


def _print(run: RunRecord, *, same: bool) -> None:
    masks = [mask.candidate.id for target in run.targets for mask in target.masks]
    end = "the same as recorded" if same else "NOT the same as recorded"
    print(
        f"{run.id}: {run.status.value}, {len(run.rounds)} rounds, masks {', '.join(masks) or '-'}"
    )
    print(end)
