"""Worker processes: of the model, and of agent runs; and who of them is alive."""

import asyncio

from api.bootstrap.parts import decoder_of, open_agent, open_runs_of, open_services, secret
from api.bootstrap.readiness import Alive, look_alive
from api.bootstrap.setup import Setup
from api.settings import SettingsError, redis_place, variable
from segmenter.errors import BrokerRefusal, TransportDown
from segmenter.services import new_worker_id, run_worker

# A host that swallows packets lets a connection hang; the retries before end within the other.
CONNECT_TIMEOUT_S = 5.0


async def run_agent_process(setup: Setup, stop: asyncio.Event) -> None:
    """Carry agent runs out from Redis until `stop` is set."""
    if setup.settings.redis_url is None:
        raise SettingsError(f"an agent worker needs {variable('redis_url')}")
    async with open_agent(setup):
        await stop.wait()


async def run_worker_process(setup: Setup, stop: asyncio.Event) -> None:
    """Answer jobs from Redis until `stop` is set."""
    settings = setup.settings
    if settings.redis_url is None:
        raise SettingsError(f"a worker needs {variable('redis_url')}")
    backend = await asyncio.to_thread(setup.load, settings)
    await run_worker(
        settings.redis_url.get_secret_value(),
        backend,
        decoder_of(settings),
        settings.for_segmenter("worker"),
        stop=stop,
        state_url=secret(settings.state_url),
    )


async def live_workers(setup: Setup) -> Alive:
    """Ask Redis who is alive, and whether it takes jobs.

    Raises:
        TransportDown: it does not answer, or refuses; says where it is.
    """
    url = setup.settings.redis_url
    assert url is not None
    try:
        async with (
            asyncio.timeout(CONNECT_TIMEOUT_S),
            open_services(setup) as services,
            open_runs_of(setup, new_worker_id()) as runs,
        ):
            return await look_alive(services.segmenter, runs.caller)
    except BrokerRefusal as error:
        raise type(error)(f"{error} ({redis_place(url)})") from error
    except (TransportDown, TimeoutError) as error:
        reason = f" ({error})" if str(error) else ""
        raise TransportDown(f"Redis at {redis_place(url)} does not answer{reason}") from error
