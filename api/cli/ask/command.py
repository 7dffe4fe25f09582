"""``medsam3 ask``: a request in words about one picture, a folder of them, or in a thread."""

import argparse
import asyncio
from functools import partial
from pathlib import Path

from agent.schemas.plan import MAX_ROUNDS
from api.bootstrap.setup import Setup
from api.cli.ask.describe import describe_run
from api.cli.ask.folder import run_folder
from api.cli.ask.kept import Kept, stores_of
from api.cli.ask.once import ask
from api.cli.inputs import read_input
from api.cli.output import (
    FAILED,
    OK,
    Commands,
    UsageFault,
    add_output_options,
    print_footer,
    say,
    tell,
)
from api.cli.result_files import masks_of, write_results
from api.schemas.faults import checked
from api.schemas.requests import AgentBody
from api.schemas.run_answers import RunAnswer
from api.schemas.shortcuts import box_of_text


def add_commands(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "ask",
        help="segment and measure by a request in plain words",
        usage="medsam3 ask [options] (IMAGE | FOLDER | - | --thread ID) REQUEST",
    )
    parser.add_argument(
        "words",
        nargs="+",
        metavar="WORD",
        help="a file, a folder or - for standard input, and the request; with --thread the request",
    )
    add_request_options(parser)
    parser.add_argument("--box", metavar="x0,y0,x1,y1", help="where it is, in pixels of the image")
    parser.add_argument("--thread", metavar="ID", help="go on in this thread, about its picture")
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep the thread, with its picture, in a file in DIR; where stores are set up it is"
        " kept anyway",
    )
    add_output_options(parser)
    parser.set_defaults(run=run_ask)


def add_request_options(parser: argparse.ArgumentParser) -> None:
    """Add what every request can say."""
    parser.add_argument("--max-rounds", type=int, default=MAX_ROUNDS, help="of tries")
    parser.add_argument("--planner", default="auto", help="auto, rules, gemini or openai")


def run_ask(arguments: argparse.Namespace, setup: Setup) -> int:
    """Run a request through the agent."""
    picture, request = _picture_and_request(arguments)
    body = _body(arguments, request)
    if picture is not None and picture.is_dir():
        if arguments.keep:
            raise UsageFault("--keep is for one picture; threads of a folder are not kept")
        return run_folder(arguments, setup, body, picture)
    content = None if picture is None else read_input(picture, setup.settings.max_upload_bytes)
    kept = stores_of(
        setup, arguments.out, keep=arguments.keep, in_thread=arguments.thread is not None
    )
    answer, overlay = asyncio.run(ask(kept.setup, body, content))
    if arguments.out:
        name = picture.name if picture else None
        write_results(arguments.out, answer, masks_of(answer.targets), overlay, name=name)
        say(f"written to {arguments.out}/")
    tell(answer, arguments, partial(_print, kept=kept))
    return FAILED if answer.status == "failed" else OK


def _picture_and_request(arguments: argparse.Namespace) -> tuple[Path | None, str]:
    words: list[str] = arguments.words
    if arguments.thread is not None:
        if len(words) > 1:
            raise UsageFault("with --thread give the request alone: the thread has its picture")
        return None, words[0]
    if len(words) != 2:
        raise UsageFault("give a picture and a request: medsam3 ask IMAGE 'outline the tumour'")
    return Path(words[0]), words[1]


def _body(arguments: argparse.Namespace, request: str) -> AgentBody:
    fields: dict[str, object] = {
        "request": request,
        "max_rounds": arguments.max_rounds,
        "planner": arguments.planner,
    }
    if arguments.thread is not None:
        fields["thread_id"] = arguments.thread
    if arguments.box:
        fields["box"] = box_of_text(arguments.box)
    return checked(AgentBody, fields)


def _print(answer: RunAnswer, kept: Kept) -> None:
    for line in describe_run(answer):
        print(line)
    print(_thread_line(answer.thread_id, kept))
    print_footer(answer.needs_review, answer.provenance.seconds)


def _thread_line(thread_id: str, kept: Kept) -> str:
    if kept.goes_on is None:
        more = "medsam3 chat, or --keep --out DIR"
        return f"thread {thread_id} is not kept; for more than one request use {more}"
    go_on = f"medsam3 ask --thread {thread_id} REQUEST{kept.goes_on}"
    return f"thread {thread_id}, kept for {kept.hours:g} h: {go_on}"
