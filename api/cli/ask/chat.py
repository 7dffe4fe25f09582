"""``medsam3 chat``: a conversation about one picture, in one thread of this process's memory."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path

from api.bootstrap.parts import AppServices, open_parts
from api.bootstrap.setup import Setup
from api.cli.ask.command import add_request_options
from api.cli.ask.describe import describe_run
from api.cli.ask.folder import FAULTS
from api.cli.ask.once import ask_in
from api.cli.ask.terminal import line_editing, read_line
from api.cli.inputs import STDIN
from api.cli.output import OK, Commands, UsageFault, explain, read_image, say
from api.cli.result_files import masks_of, write_results
from api.schemas.faults import checked
from api.schemas.requests import AgentBody
from api.schemas.run_answers import RunAnswer
from segmenter.contract import ImageRef

PROMPT = "> "
ENDS = frozenset({"quit", "exit"})
GREETING = "one request a line, such as 'outline the tumour', 'how big is it?', 'undo'; quit ends"


def add_commands(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("chat", help="a conversation about one picture, line by line")
    parser.add_argument("image", type=Path, metavar="IMAGE")
    parser.add_argument("request", nargs="?", metavar="REQUEST", help="the first one")
    add_request_options(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="turn-1/overlay.png and so on; default: out/chat-TIME",
    )
    parser.set_defaults(run=run_chat)


def run_chat(arguments: argparse.Namespace, setup: Setup) -> int:
    """Answer line after line until there is none."""
    if arguments.image == STDIN:
        raise UsageFault("chat reads requests from standard input; give the picture as a file")
    content = read_image(arguments.image)
    out = arguments.out or Path("out") / f"chat-{datetime.now():%Y%m%d-%H%M%S}"
    asyncio.run(_chat(arguments, setup, content, out))
    return OK


async def _chat(arguments: argparse.Namespace, setup: Setup, content: bytes, out: Path) -> None:
    say("loading the model")
    # Whoever thinks for an hour between two requests finds the picture still there.
    lasting = {"image_ttl_s": setup.settings.record_ttl_s}
    setup = replace(setup, settings=setup.settings.model_copy(update=lasting))
    async with open_parts(setup.embedded()) as parts:
        image = await parts.images.put(content)
        say(f"{image.width} x {image.height} {image.format}; pictures and masks go to {out}/")
        say(GREETING)
        thread = _Thread(parts, arguments, image, out)
        with line_editing():
            async for line in _lines(arguments.request):
                await thread.answer(line)


async def _lines(first: str | None) -> AsyncIterator[str]:
    """Yield requests, until the input or the person ends."""
    if first is not None:
        yield first
    while (line := await read_line(PROMPT)) is not None and line.strip().lower() not in ENDS:
        if line.strip():
            yield line


class _Thread:
    """The conversation so far."""

    def __init__(
        self, parts: AppServices, arguments: argparse.Namespace, image: ImageRef, out: Path
    ) -> None:
        self._parts = parts
        self._options = {"max_rounds": arguments.max_rounds, "planner": arguments.planner}
        self._image = image
        self._out = out
        self._id: str | None = None
        self._turns = count(1)

    async def answer(self, line: str) -> None:
        """Print and write what a request gives; what is wrong with it is told, and no end."""
        try:
            body = checked(AgentBody, {"request": line, "thread_id": self._id, **self._options})
            image = self._image if self._id is None else None
            answer, overlay = await ask_in(self._parts, body, image)
        except FAULTS as error:
            say(f"error: {explain(error)}")
            return
        self._id = answer.thread_id
        folder = self._out / f"turn-{next(self._turns)}"
        write_results(folder, answer, masks_of(answer.targets), overlay)
        _print(answer, folder)


def _print(answer: RunAnswer, folder: Path) -> None:
    for line in describe_run(answer):
        print(line)
    if answer.needs_review:
        print("a person should look at this")
    print(f"-> {folder}/", flush=True)
