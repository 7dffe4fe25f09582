"""One request about every picture of a folder: the model loads once, a bad file ends nothing.

Each picture's result lies in a folder of its own, ``pictures/PATH`` with the path of the picture in
its folder, so that no two are the same. What is done is not done again.
"""

import argparse
import asyncio
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from agent.errors import AgentError, PlannerNotConfigured
from agent.planners.prompts import PROMPTS_VERSION
from api.bootstrap.parts import AppServices, open_parts
from api.bootstrap.setup import Setup
from api.cli.ask.finished import (
    finished,
    forget,
    forget_gone,
    mark,
    question_of,
    to_done,
    unmark,
)
from api.cli.ask.listing import list_pictures, shown
from api.cli.ask.once import ask_in
from api.cli.ask.table import TABLE, Table, written_table
from api.cli.output import FAILED, OK, Bar, UsageFault, explain, say, tell
from api.cli.result_files import masks_of, write_results
from api.errors import ApiError
from api.operations import CAPABILITIES_TIMEOUT_S
from api.schemas.requests import AgentBody
from api.schemas.run_answers import RunAnswer
from segmenter.errors import ImageTooLarge, SegmenterError

PICTURES = "pictures"
# Of one picture; whatever else goes wrong would go wrong with the next one.
FAULTS = (SegmenterError, AgentError, ApiError, OSError)
FAILURES = ("error", "failed")


class PictureOut(BaseModel):
    """What came of one picture.

    Attributes:
        status: of its run, or ``error`` if there was none.
        message: of its run, or what is wrong.
    """

    file: str
    status: str
    message: str


class FolderAnswer(BaseModel):
    """What came of a folder.

    Attributes:
        taken: pictures that an earlier run had done.
        failed: pictures without a result.
        table: path of the table.
    """

    pictures: list[PictureOut]
    skipped: list[str]
    taken: int
    failed: int
    table: str


class _Places(NamedTuple):
    folder: Path
    out: Path

    @property
    def results(self) -> Path:
        return self.out / PICTURES


class _Came(NamedTuple):
    """What came of a picture; `taken` from an earlier run."""

    picture: PictureOut
    taken: bool = False


def run_folder(arguments: argparse.Namespace, setup: Setup, body: AgentBody, folder: Path) -> int:
    """Ask about all pictures of a folder and write the table.

    Raises:
        UsageFault: no folder for the results, or one that they may not lie in; no picture.
    """
    places = _places(folder, arguments.out)
    listed = list_pictures(places.folder, results=places.out)
    for path, what in listed.skipped:
        say(f"skipped {shown(path)}: {what}")
    if not listed.pictures:
        raise UsageFault(f"there is no picture in {places.folder}")
    came = asyncio.run(_ask_all(setup, body, places, listed.pictures))
    answer = FolderAnswer(
        pictures=[each.picture for each in came],
        skipped=[shown(path) for path, _ in listed.skipped],
        taken=sum(each.taken for each in came),
        failed=sum(each.picture.status in FAILURES for each in came),
        table=str(places.out / TABLE),
    )
    tell(answer, arguments, _print)
    return FAILED if answer.failed else OK


def _places(folder: Path, out: Path | None) -> _Places:
    if out is None:
        raise UsageFault("a folder of pictures needs --out DIR for the results")
    inside, results = folder.resolve(), (out / PICTURES).resolve()
    if out.resolve() == inside or inside.is_relative_to(results):
        raise UsageFault(f"--out {out} would mix results with the pictures; name another folder")
    try:
        results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageFault(f"cannot write to {out}: {error.strerror}") from error
    return _Places(folder, out)


async def _ask_all(
    setup: Setup, body: AgentBody, places: _Places, pictures: tuple[Path, ...]
) -> list[_Came]:
    say("loading the model")
    came, bar = list[_Came](), Bar("pictures")
    async with open_parts(setup.embedded()) as parts:
        found = await parts.segmenter.capabilities(timeout_s=CAPABILITIES_TIMEOUT_S)
        question = question_of(body, setup.settings, found.model, PROMPTS_VERSION)
        asking = _Asking(parts, body, question, places, setup.settings.max_upload_bytes)
        with written_table(places.out) as table:
            for number, path in enumerate(pictures):
                bar.show(number, len(pictures))
                came.append(await asking.add_to(table, path))
                picture = came[-1].picture
                if picture.status in FAILURES:
                    bar.say(f"{picture.file}: {picture.message}")
            bar.show(len(pictures), len(pictures))
    for path in forget_gone(places.results, places.folder, set(pictures)):
        say(f"removed the result of {shown(path)}, which is not in the folder any more")
    return came


class _Asking(NamedTuple):
    """What all pictures are asked with."""

    parts: AppServices
    body: AgentBody
    question: str
    places: _Places
    max_bytes: int

    async def add_to(self, table: Table, path: Path) -> _Came:
        """Ask about one picture; what is wrong with it is its result.

        Raises:
            PlannerNotConfigured: as every picture would.
        """
        file = shown(path)
        try:
            content = _read(self.places.folder / path, self.max_bytes)
            answer, taken = await self._answer(path, content)
        except PlannerNotConfigured:
            raise
        except FAULTS as error:
            forget(self.places.results / path)
            words = explain(error)
            table.add_fault(file, words)
            return _Came(PictureOut(file=file, status="error", message=words))
        table.add(file, answer)
        message = answer.error or answer.message
        return _Came(PictureOut(file=file, status=answer.status, message=message), taken)

    async def _answer(self, path: Path, content: bytes) -> tuple[RunAnswer, bool]:
        """Return what is answered, and whether an earlier run did."""
        place = self.places.results / path
        done = to_done(self.question, content, self.places.folder)
        if (known := finished(place, done)) is not None:
            return known, True
        answer, overlay = await ask_in(self.parts, self.body, await self.parts.images.put(content))
        # All that is kept of it in memory.
        await self.parts.agent.erase_thread(answer.thread_id)
        unmark(place)
        write_results(
            place, answer, masks_of(answer.targets), overlay, name=shown(Path(place.name))
        )
        if answer.status != "failed":
            mark(place, done)
        return answer, False


def _read(path: Path, max_bytes: int) -> bytes:
    size = path.stat().st_size
    if size > max_bytes:
        raise ImageTooLarge(f"{size} bytes, over the limit of {max_bytes}")
    return path.read_bytes()


def _print(answer: FolderAnswer) -> None:
    counts = Counter(picture.status for picture in answer.pictures)
    print(", ".join(f"{count} {status}" for status, count in counts.most_common()))
    if answer.taken:
        print(f"{answer.taken} of them were done before and are taken as they are")
    if answer.failed:
        print(f"{answer.failed} of {len(answer.pictures)} pictures failed: see {answer.table}")
    if answer.skipped:
        print(f"skipped files, which are no pictures: {len(answer.skipped)}")
    print(f"table: {answer.table}; masks and overlays: {Path(answer.table).parent / PICTURES}/")
    print("not a medical device")
