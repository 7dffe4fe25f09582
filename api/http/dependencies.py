"""What the routes work with: built once by `api.bootstrap.parts`, or by a test."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from fastapi import Request

from agent.runs.replay import Recording
from agent.schemas.runs import AgentRequest, RunEvent, RunRecord, ThreadRecord
from api.http.background import Background
from api.http.idempotency import GRACE_S, IdempotencyStore
from api.settings import Settings
from segmenter.contract import ImageStore, RecordStore, Segmenter
from segmenter.queue.messages import WorkerInfo
from segmenter.volumes.jobs import Volumes


class Agent(Protocol):
    """The agent as the routes use it; `agent.service.AgentService` implements it."""

    async def run(self, request: AgentRequest, *, run_id: str | None = None) -> RunRecord:
        """Run a request to its end; `run_id` from `agent.runs.threads.new_run_id`."""
        ...

    async def announce(self, run_id: str) -> None:
        """Make a run known before it begins."""
        ...

    async def give_up(self, run_id: str, error: str) -> None:
        """Note that an announced run never began."""
        ...

    async def events(self, run_id: str) -> tuple[RunEvent, ...]:
        """Return what a run has done so far; raises RunNotFound."""
        ...

    async def cancel(self, run_id: str) -> None:
        """Stop a run; raises RunNotFound."""
        ...

    async def run_record(self, run_id: str) -> RunRecord:
        """Read a run; raises RunNotFound."""
        ...

    async def recording(self, run_id: str) -> Recording:
        """Return all that a replay needs; raises RunNotFound."""
        ...

    async def thread_record(self, thread_id: str) -> ThreadRecord:
        """Read a thread; raises ThreadNotFound."""
        ...

    async def erase_thread(self, thread_id: str) -> None:
        """Erase a thread with all it holds; raises ThreadNotFound."""
        ...

    async def mask_png(self, run_id: str, mask_id: str) -> bytes:
        """Draw one mask; raises RunNotFound, InvalidRequest."""
        ...

    async def overlay_png(self, run_id: str) -> bytes:
        """Draw the run's masks on its image; raises RunNotFound, ImageNotFound."""
        ...

    async def round_png(self, run_id: str, number: int) -> bytes:
        """Draw a round's masks on its image; raises RunNotFound, InvalidRequest, ImageNotFound."""
        ...


@dataclass(frozen=True)
class AppServices:
    """Everything behind the routes.

    Attributes:
        live_workers: who is alive now; raises TransportDown.
        planners: kinds that can be asked for; the first is the default.
    """

    segmenter: Segmenter
    images: ImageStore
    records: RecordStore
    volumes: Volumes
    agent: Agent
    live_workers: Callable[[], Awaitable[Sequence[WorkerInfo]]]
    planners: tuple[str, ...]


def parts_of(request: Request) -> AppServices:
    """Return what this app was opened with."""
    parts: AppServices = request.app.state.parts
    return parts


def settings_of(request: Request) -> Settings:
    """Return what this app was made with."""
    settings: Settings = request.app.state.settings
    return settings


def background_of(request: Request) -> Background:
    """Return where this app's longer work runs."""
    background: Background = request.app.state.background
    return background


def once_of(request: Request) -> IdempotencyStore:
    """Return the idempotency of this app."""
    settings = settings_of(request)
    return IdempotencyStore(
        parts_of(request).records,
        running_ttl_s=settings.run_timeout_s + GRACE_S,
        done_ttl_s=settings.record_ttl_s,
    )
