"""Plugs segmenter, stores, planners and agent together, as the settings say."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from agent.contract import Planner
from agent.language.request import load_tables
from agent.mllm.box_formats import BOX_STYLES
from agent.mllm.contract import Mllm
from agent.planners.mllm import MllmPlanner
from agent.planners.prompts import PROMPTS_VERSION
from agent.planners.rules import RulesPlanner
from agent.queued import QueuedAgent
from agent.runs.worker import RunWorker
from agent.service import AgentContext
from agent.settings import AgentSettings, Prices
from api.bootstrap.planners import Kind, build_mllms, close_all, is_guarded
from api.bootstrap.readiness import Alive, Lookout
from api.bootstrap.setup import Setup
from api.settings import Settings
from segmenter.contract import ImageStore, RecordStore, Segmenter
from segmenter.errors import TEMPORARY
from segmenter.formats.limits import Limits
from segmenter.memory_budget import WorkingMemory
from segmenter.queue.contract import RunQueue
from segmenter.queue.jobs import StoredThenQueued
from segmenter.services import (
    SegmenterServices,
    accept_in,
    decoder,
    new_worker_id,
    open_embedded,
    open_redis,
    open_runs,
)
from segmenter.storage.images import ReadHeader
from segmenter.volumes.jobs import Volumes

logger = logging.getLogger(__name__)

# The worker inside registers at once; only a broken one takes longer.
EMBEDDED_START_S = 10.0
# Jobs do not wait for it, but how soon a command ends does; more often it costs 1 % of a core.
EMBEDDED_POLL_S = 0.2
# How late a worker of runs sees that it is to stop.
RUN_POLL_S = 0.5
# How late a job is queued whose process died between storing and queueing it.
RELAY_S = 5.0


@dataclass(frozen=True)
class AppServices:
    """Everything behind the routes.

    Attributes:
        look_alive: who is alive now; raises TransportDown.
        planners: kinds that can be asked for; the first is the default.
        memory: that drawing takes.
    """

    segmenter: Segmenter
    images: ImageStore
    records: RecordStore
    volumes: Volumes
    agent: QueuedAgent
    look_alive: Callable[[], Awaitable[Alive]]
    planners: tuple[str, ...]
    memory: WorkingMemory


@asynccontextmanager
async def open_services(setup: Setup) -> AsyncIterator[SegmenterServices]:
    """Open segmenter and stores: around Redis, or with a worker in this process.

    Raises:
        NoWorker: the worker in this process did not start.
    """
    settings = setup.settings
    asked, read = settings.for_segmenter(), decoder_of(settings)
    redis_url, state_url = secret(settings.redis_url), secret(settings.state_url)
    if redis_url is not None:
        async with open_redis(redis_url, read, asked, state_url=state_url) as services:
            yield services
        return
    backend = await asyncio.to_thread(setup.load, settings)
    # A command ends no sooner than the worker in its process sees the stop.
    queue = asked.queue.model_copy(update={"poll_s": EMBEDDED_POLL_S})
    asked = asked.model_copy(update={"queue": queue})
    async with open_embedded(backend, read, asked, state_url=state_url) as services:
        await services.segmenter.until_workers(EMBEDDED_START_S)
        yield services


@asynccontextmanager
async def open_parts(setup: Setup) -> AsyncIterator[AppServices]:
    """Open everything behind the routes.

    Raises:
        SettingsError: the default planner cannot work.
        WeightsFault: the model does not load.
    """
    async with open_agent(setup) as (services, agent, planners):
        settings = setup.settings
        yield AppServices(
            segmenter=services.segmenter,
            images=services.images,
            records=services.records,
            volumes=services.volumes,
            agent=agent,
            look_alive=Lookout(services.segmenter, agent.jobs.queue).look,
            memory=services.memory,
            # A stable sort: the default first, the others as they are.
            planners=tuple(sorted(planners, key=lambda kind: kind != settings.planner)),
        )


@asynccontextmanager
async def open_agent(
    setup: Setup,
) -> AsyncIterator[tuple[SegmenterServices, QueuedAgent, Mapping[str, Planner]]]:
    """Open the agent, and carry runs out in this process if it has slots for them."""
    settings = setup.settings
    mllms, worker_id = build_mllms(settings), new_worker_id()
    try:
        async with (
            open_services(setup) as services,
            open_runs_of(setup, worker_id) as runs,
        ):
            await asyncio.to_thread(load_tables)
            planners = _planners(settings, mllms)
            context = AgentContext(
                segmenter=services.segmenter,
                images=services.images,
                records=services.records,
                planners=planners,
                default_planner=settings.planner,
                settings=_agent_settings(settings),
                memory=services.memory,
            )
            accepted = accept_in(runs.caller, services.records)
            agent = QueuedAgent(context, runs.caller, accepted)
            async with (
                _carrying_out(agent, runs, settings, worker_id),
                _relaying(agent, services.volumes, isinstance(accepted, StoredThenQueued)),
            ):
                yield services, agent, planners
    finally:
        await close_all(mllms.values())


def open_runs_of(setup: Setup, worker_id: str) -> AbstractAsyncContextManager[RunQueue]:
    """Open both ends of the queue of runs, as the settings say."""
    settings = setup.settings
    asked = settings.for_segmenter().for_runs(settings.run_timeout_s)
    if settings.redis_url is None:
        asked = asked.model_copy(update={"poll_s": EMBEDDED_POLL_S})
    return open_runs(secret(settings.redis_url), asked, worker_id)


@asynccontextmanager
async def _carrying_out(
    agent: QueuedAgent, runs: RunQueue, settings: Settings, worker_id: str
) -> AsyncIterator[None]:
    if settings.run_slots == 0:
        yield
        return
    poll_s = EMBEDDED_POLL_S if settings.redis_url is None else RUN_POLL_S
    worker = RunWorker(
        runs.worker, agent.carry, worker_id=worker_id, slots=settings.run_slots, poll_s=poll_s
    )
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


@asynccontextmanager
async def _relaying(agent: QueuedAgent, volumes: Volumes, is_needed: bool) -> AsyncIterator[None]:
    """Bring what was taken on into the queue, where these are two steps: now and then again."""
    if not is_needed:
        yield
        return

    async def relay() -> None:
        for one in (agent.relay, volumes.relay):
            try:
                await one()
            except TEMPORARY as error:
                logger.warning("relay interrupted", extra={"error": type(error).__name__})

    async def go_on() -> None:
        while True:
            await asyncio.sleep(RELAY_S)
            await relay()

    await relay()
    relaying = asyncio.create_task(go_on())
    try:
        yield
    finally:
        relaying.cancel()
        await asyncio.gather(relaying, return_exceptions=True)


def secret(url: SecretStr | None) -> str | None:
    """Return what a secret address holds."""
    return None if url is None else url.get_secret_value()


def _planners(settings: Settings, mllms: Mapping[Kind, Mllm]) -> dict[str, Planner]:
    style = None if settings.box_style == "auto" else BOX_STYLES[settings.box_style]
    planners: dict[str, Planner] = {"rules": RulesPlanner()}
    for kind, mllm in mllms.items():
        planners[kind] = MllmPlanner(mllm, style=style, guarded=is_guarded(settings, kind))
    return planners


def _agent_settings(settings: Settings) -> AgentSettings:
    return AgentSettings(
        run_timeout_s=settings.run_timeout_s,
        record_ttl_s=settings.record_ttl_s,
        prompts_version=PROMPTS_VERSION,
        run_tokens=settings.run_tokens,
        prices=_prices(settings),
    )


def _prices(settings: Settings) -> Prices | None:
    if settings.price_input is None and settings.price_output is None:
        return None
    return Prices(
        input_per_million=settings.price_input or 0.0,
        output_per_million=settings.price_output or 0.0,
    )


def decoder_of(settings: Settings) -> ReadHeader:
    """Return the decoder of all formats within the bounds of the settings."""
    return decoder(Limits(max_bytes=settings.max_upload_bytes))
