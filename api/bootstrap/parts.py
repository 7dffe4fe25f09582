"""Plugs segmenter, stores, planners and agent together, as the settings say."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pydantic import SecretStr

from agent.contract import Planner
from agent.loop.checkpoints import open_checkpoints, sqlite_path
from agent.loop.context import AgentSettings, Prices
from agent.mllm.box_formats import BOX_STYLES
from agent.mllm.contract import Mllm
from agent.planners.mllm import MllmPlanner
from agent.planners.prompts import PROMPTS_VERSION
from agent.planners.rules import RulesPlanner
from agent.queued import QueuedAgent
from agent.runs.log import UNDER_WAY
from agent.runs.worker import RunWorker
from agent.service import AgentContext
from api.bootstrap.planners import Kind, build_mllms, close_all, is_guarded
from api.http.dependencies import AppServices
from api.settings import Settings, SettingsError, redis_place, variable
from segmenter.backends.compact.backend import CompactBackend
from segmenter.backends.contract import Backend
from segmenter.contract import RecordStore
from segmenter.errors import NoWorker, TransportDown
from segmenter.formats.limits import Limits
from segmenter.queue.contract import RunQueue
from segmenter.queue.messages import WorkerInfo
from segmenter.services import (
    SegmenterServices,
    decoder,
    new_worker_id,
    open_embedded,
    open_redis,
    open_runs,
    run_worker,
)
from segmenter.storage.images import Decode
from segmenter.storage.sql import SqliteRecordStore

SAM3_INSTALL = "pip install torch==2.13.0, then pip install 'medsam3-agent[sam3]'"


class WeightsFault(RuntimeError):
    """The model's weights are missing or damaged."""


# The worker inside registers at once; only a broken one takes longer.
EMBEDDED_START_S = 10.0
EMBEDDED_POLL_S = 0.05
# How late a worker of runs sees that it is to stop.
RUN_POLL_S = 0.5
# Whoever asks whether the service is ready wants to know soon.
QUEUE_TIMEOUT_S = 3.0
# A host that swallows packets lets a connection hang; the retries before end within the other.
CONNECT_TIMEOUT_S = 5.0


def load_backend(settings: Settings) -> Backend[Any]:
    """Load the model that the settings name; takes about a second.

    Raises:
        WeightsFault: its weights are missing or not the ones they should be.
    """
    if settings.backend == "sam3":
        return _load_sam3(settings)
    try:
        return CompactBackend()
    except (OSError, ValueError) as error:
        raise WeightsFault(
            f"the bundled model does not load ({type(error).__name__}): medsam3 doctor tells more"
        ) from error


def _load_sam3(settings: Settings) -> Backend[Any]:
    """Load SAM 3; its packages are big and not everybody's, so they are imported here.

    Raises:
        WeightsFault: a package or the weights are missing, or the weights are not of SAM 3.
    """
    if settings.sam3_weights is None:
        raise WeightsFault(f"{variable('backend')}=sam3 needs {variable('sam3_weights')}")
    try:
        from segmenter.backends.sam3.errors import WeightsError
        from segmenter.backends.sam3.factory import Sam3Options, open_sam3
    except ModuleNotFoundError as error:
        raise WeightsFault(f"SAM 3 needs {error.name}: {SAM3_INSTALL}") from error
    options = Sam3Options(
        weights=settings.sam3_weights,
        lora=settings.sam3_lora,
        lora_config=settings.sam3_lora_config,
        alpha=settings.sam3_lora_alpha,
        merged=settings.sam3_merge,
        device=settings.sam3_device,
        vision_dtype=settings.sam3_vision_dtype,
        detector_dtype=settings.sam3_detector_dtype,
        compiled=settings.sam3_compile,
    )
    try:
        return open_sam3(options)
    except (WeightsError, OSError) as error:
        raise WeightsFault(f"the SAM 3 weights do not load: {error}") from error


@dataclass(frozen=True)
class Setup:
    """What every command starts from."""

    settings: Settings
    load: Callable[[Settings], Backend[Any]] = load_backend

    def embedded(self) -> "Setup":
        """Keep everything in this process, whatever queue is configured."""
        return replace(self, settings=self.settings.model_copy(update={"redis_url": None}))

    def loaded(self) -> "Setup":
        """Load the model now, if a worker will run in this process.

        Raises:
            WeightsFault: it does not load.
        """
        if self.settings.redis_url is not None:
            return self
        backend = self.load(self.settings)
        return replace(self, load=lambda settings: backend)


@asynccontextmanager
async def open_services(setup: Setup) -> AsyncIterator[SegmenterServices]:
    """Open segmenter and stores: around Redis, or with a worker in this process.

    Raises:
        NoWorker: the worker in this process did not start.
    """
    settings = setup.settings
    asked, read = settings.for_segmenter(), _decoder(settings)
    if settings.redis_url is not None:
        async with open_redis(settings.redis_url.get_secret_value(), read, asked) as services:
            yield services
        return
    backend = await asyncio.to_thread(setup.load, settings)
    # A command ends no sooner than the worker in its process sees the stop.
    queue = asked.queue.model_copy(update={"poll_s": EMBEDDED_POLL_S})
    asked = asked.model_copy(update={"queue": queue})
    url = _secret(settings.state_url)
    file = sqlite_path(url) if url is not None and url.startswith("sqlite:") else None
    async with open_embedded(backend, read, asked, file=file) as services:
        await _until_alive(services)
        yield services


@asynccontextmanager
async def open_parts(setup: Setup) -> AsyncIterator[AppServices]:
    """Open everything behind the routes.

    Raises:
        SettingsError: the default planner cannot work.
        WeightsFault: the model does not load.
    """
    async with _open_agent(setup) as (services, agent, planners):
        settings = setup.settings
        yield AppServices(
            segmenter=services.segmenter,
            images=services.images,
            records=services.records,
            volumes=services.volumes,
            agent=agent,
            live_workers=partial(services.segmenter.workers, timeout_s=QUEUE_TIMEOUT_S),
            # A stable sort: the default first, the others as they are.
            planners=tuple(sorted(planners, key=lambda kind: kind != settings.planner)),
        )


@asynccontextmanager
async def _open_agent(
    setup: Setup,
) -> AsyncIterator[tuple[SegmenterServices, QueuedAgent, Mapping[str, Planner]]]:
    """Open the agent, and carry runs out in this process if it has slots for them."""
    settings = setup.settings
    mllms, worker_id = build_mllms(settings), new_worker_id()
    try:
        async with (
            open_services(setup) as services,
            _open_runs(setup, worker_id) as runs,
            open_checkpoints(_secret(settings.state_url)) as checkpoints,
        ):
            planners = _planners(settings, mllms)
            context = AgentContext(
                segmenter=services.segmenter,
                images=services.images,
                records=services.records,
                planners=planners,
                default_planner=settings.planner,
                settings=_agent_settings(settings),
                checkpoints=checkpoints,
            )
            agent = QueuedAgent(context, runs.caller)
            async with _carrying_out(agent, runs, settings, worker_id):
                await agent.go_on_with(await _left_undone(services.records))
                yield services, agent, planners
    finally:
        await close_all(mllms.values())


def _open_runs(setup: Setup, worker_id: str) -> AbstractAsyncContextManager[RunQueue]:
    settings = setup.settings
    asked = settings.for_segmenter().for_runs(settings.run_timeout_s)
    if settings.redis_url is None:
        asked = asked.model_copy(update={"poll_s": EMBEDDED_POLL_S})
    return open_runs(_secret(settings.redis_url), asked, worker_id)


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


async def run_agent_process(setup: Setup, stop: asyncio.Event) -> None:
    """Carry agent runs out from Redis until `stop` is set."""
    if setup.settings.redis_url is None:
        raise SettingsError(f"an agent worker needs {variable('redis_url')}")
    async with _open_agent(setup):
        await stop.wait()


async def _left_undone(records: RecordStore) -> list[str]:
    """Return runs whose process ended before them; with Redis their jobs are still queued."""
    if not isinstance(records, SqliteRecordStore):
        return []
    return [key.removeprefix(UNDER_WAY) for key in await records.keys(UNDER_WAY)]


def _secret(url: SecretStr | None) -> str | None:
    return None if url is None else url.get_secret_value()


async def run_worker_process(setup: Setup, stop: asyncio.Event) -> None:
    """Answer jobs from Redis until `stop` is set."""
    settings = setup.settings
    if settings.redis_url is None:
        raise SettingsError(f"a worker needs {variable('redis_url')}")
    backend = await asyncio.to_thread(setup.load, settings)
    url, read = settings.redis_url.get_secret_value(), _decoder(settings)
    await run_worker(url, backend, read, settings.for_segmenter(), stop=stop)


async def live_workers(setup: Setup) -> tuple[WorkerInfo, ...]:
    """Ask Redis who is alive.

    Raises:
        TransportDown: it does not answer; says where it should be.
    """
    url = setup.settings.redis_url
    assert url is not None
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S), open_services(setup) as services:
            return await services.segmenter.workers(timeout_s=QUEUE_TIMEOUT_S)
    except (TransportDown, TimeoutError) as error:
        reason = f" ({error})" if str(error) else ""
        raise TransportDown(f"Redis at {redis_place(url)} does not answer{reason}") from error


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


def _decoder(settings: Settings) -> Decode:
    return decoder(Limits(max_bytes=settings.max_upload_bytes))


async def _until_alive(services: SegmenterServices) -> None:
    deadline = time.monotonic() + EMBEDDED_START_S
    while not await services.segmenter.workers(timeout_s=QUEUE_TIMEOUT_S):
        if time.monotonic() > deadline:
            raise NoWorker("the worker in this process did not start")
        await asyncio.sleep(EMBEDDED_POLL_S)
