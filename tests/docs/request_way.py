"""Writes the way of a request, function by function, as it is seen when one is carried out.

python -m tests.docs.request_way       rewrites docs/request-way.md

What counts as a step is said on the page; `way_of` holds it.
"""

import inspect
import re
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

from fastapi.testclient import TestClient

from api.bootstrap.backends import load_backend
from api.bootstrap.parts import open_parts
from api.bootstrap.setup import Setup
from api.http.app import create_app
from api.settings import Settings
from tests.paths import ROOT, SAMPLES

PAGE = ROOT / "docs" / "request-way.md"
IMAGE = SAMPLES / "busi_tumor.jpg"
# Functions whose frames may pause and go on.
SUSPENDED = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
OURS = tuple(f"{ROOT / package}/" for package in ("agent", "api", "segmenter"))
PLACE = re.compile(r"(<!-- way: (?P<path>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
SEGMENT, AGENT = "/segment", "/agent/segment"
FIELDS = {SEGMENT: {"concept": "breast tumor"}, AGENT: {"request": "Outline the mass"}}
FIRST_TOOL_CALL = "QueuedSegmenter.segment"
# Longer than any poll of a process that nobody asks anything.
IDLE_S = 2.5


class Step(NamedTuple):
    """A function that a request comes through.

    Attributes:
        name: with its class.
        file: of the repository.
    """

    name: str
    file: str

    @property
    def folder(self) -> str:
        """The file's folder."""
        return self.file.rpartition("/")[0]


class Way(NamedTuple):
    """What a reader has to follow.

    Attributes:
        steps: where the request comes into a folder.
        in_files: the same with the steps from file to file of one folder.
    """

    steps: list[Step]
    in_files: list[Step]

    def without(self, other: "Way") -> "Way":
        """Leave out what stands in another way, but not the end."""
        seen = {*other.steps, *other.in_files} - {self.steps[-1]}
        return Way(*([step for step in part if step not in seen] for part in self))


class Trace(NamedTuple):
    """What was called.

    Attributes:
        callers: of every function, in the order of first calls: the public function of ours that
            it worked for; None where a library or a thread called.
        calling: functions that called one of ours.
    """

    callers: dict[Step, Step | None]
    calling: set[Step]

    def until(self, name: str) -> "Trace":
        """Return what was called up to the first call of a function."""
        names = [step.name for step in self.callers]
        kept = list(self.callers)[: names.index(name) + 1]
        return self._replace(callers={step: self.callers[step] for step in kept})


class Tracer:
    """Notes calls of our functions in every thread that starts after it."""

    def __init__(self) -> None:
        self._trace = Trace({}, set())
        # Python tells of a coroutine that goes on as of a call. Kept, their ids stay their own.
        self._begun: set[FrameType] = set()
        threading.setprofile(self._notice)

    def taken(self) -> Trace:
        """Return what was noted since the last time."""
        taken, self._trace = self._trace, Trace({}, set())
        return taken

    def stop(self) -> None:
        """Let threads that start from now on run as they are."""
        threading.setprofile(None)

    def _notice(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or not _is_ours(code):
            return
        if code.co_flags & SUSPENDED:
            if frame in self._begun:
                return
            self._begun.add(frame)
        above = list(_above(frame))
        self._trace.calling.update(above[:1])
        caller = next((step for step in above if _is_public(step.name)), None)
        self._trace.callers.setdefault(_step(code), caller)


def _above(frame: FrameType) -> Iterator[Step]:
    """Yield the functions of ours that wait for one, nearest first."""
    above = frame.f_back
    while above is not None:
        if _is_ours(above.f_code):
            yield _step(above.f_code)
        above = above.f_back


def _is_ours(code: CodeType) -> bool:
    """Tell whether a function of ours; comprehensions and lambdas belong to the one around."""
    return code.co_filename.startswith(OURS) and not code.co_name.startswith("<")


def _step(code: CodeType) -> Step:
    return Step(code.co_qualname, str(Path(code.co_filename).relative_to(ROOT)))


def ways() -> dict[str, Way]:
    """Carry out one request of each kind with the bundled model, and return the way of each."""
    tracer = Tracer()
    try:
        settings = Settings()
        setup = Setup(settings, load_backend).loaded()
        app = create_app(settings, partial(open_parts, setup))
        with TestClient(app, base_url="http://127.0.0.1:8000") as client:
            # What is read and looked up once a process is no part of the way.
            for path in FIELDS:
                _asked(client, tracer, path, "first")
            time.sleep(IDLE_S)
            tracer.taken()
            time.sleep(IDLE_S)
            idle = tracer.taken().callers.keys()
            segment = way_of(_asked(client, tracer, SEGMENT, "second"), idle)
            agent = way_of(_asked(client, tracer, AGENT, "second").until(FIRST_TOOL_CALL), idle)
    finally:
        tracer.stop()
    return {SEGMENT: segment, AGENT: agent.without(segment)}


def _asked(client: TestClient, tracer: Tracer, path: str, name: str) -> Trace:
    """Make a request about an image that the service has not seen, for each path and name."""
    tracer.taken()
    # Bytes after its end are no part of a JPEG, but make another image of it.
    content = IMAGE.read_bytes() + f"{path} {name}".encode()
    answer = client.post(path, files={"image": content}, data=FIELDS[path])
    assert answer.status_code == 200, answer.text
    return tracer.taken()


def way_of(trace: Trace, idle: Collection[Step]) -> Way:
    """Choose what a reader has to follow.

    Args:
        trace: of a request.
        idle: what is called while nobody asks.
    """
    begun = [step for step in trace.callers if step not in idle]
    working = [
        step
        for step in begun
        if _is_public(step.name) and (step in trace.calling or step == begun[-1])
    ]
    # Nobody, or a loop that ran before the request, stands in no folder.
    callers = {step: caller if caller in begun else None for step, caller in trace.callers.items()}

    def comes_in(step: Step, unit: str) -> bool:
        caller = callers[step]
        return caller is None or getattr(caller, unit) != getattr(step, unit)

    return Way(*([step for step in working if comes_in(step, unit)] for unit in ("folder", "file")))


def _is_public(name: str) -> bool:
    parts = name.split(".")
    return "<" not in name and all(part[0] != "_" or part == "__call__" for part in parts)


def table(way: Way) -> Iterator[str]:
    """Yield a way as a table."""
    yield "| | function | file |"
    yield "| --: | --- | --- |"
    for number, step in enumerate(way.steps, 1):
        yield f"| {number} | `{step.name}` | `{step.file}` |"
    yield ""
    yield (
        f"{len(way.steps)} steps through {len({step.file for step in way.steps})} files;"
        f" {len(way.in_files)} with those between files of one folder."
    )


def filled(page: str, found: Mapping[str, Way]) -> str:
    """Return the page with every way written anew."""

    def way(place: "re.Match[str]") -> str:
        lines = "\n".join(table(found[place["path"]]))
        return f"{place[1]}\n{lines}\n\n{place[3]}"

    return PLACE.sub(way, page)


def main() -> int:
    """Rewrite the page and return the exit status."""
    PAGE.write_text(filled(PAGE.read_text("utf-8"), ways()), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
