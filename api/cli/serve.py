"""``medsam3 serve``, ``worker``, ``agent-worker``: a deployment's processes; SIGTERM ends them."""

import argparse
import asyncio
import math
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import uvicorn

from api.bootstrap.parts import open_parts
from api.bootstrap.planners import build_mllms, close_all
from api.bootstrap.processes import live_workers, run_agent_process, run_worker_process
from api.bootstrap.setup import Setup
from api.cli.output import FAILED, OK, Commands, UsageFault, say
from api.cli.server import CLOSE_S, DRAIN_S, Server, protocol
from api.http.app import create_app
from api.json_logs import set_up_logs
from api.settings import Settings, SettingsError, check_settings, refuse_unguarded, variable
from segmenter.errors import BrokerDenied, TransportDown

WorkerProcess: TypeAlias = Callable[[Setup, asyncio.Event], Awaitable[None]]


def add_commands(commands: Commands) -> None:
    """Declare the commands."""
    serve = commands.add_parser("serve", help="serve HTTP; without Redis with a worker inside")
    serve.add_argument("--host", help="default: MEDSAM3_HOST or 127.0.0.1")
    serve.add_argument("--port", type=int, help="default: MEDSAM3_PORT or 8000")
    serve.set_defaults(run=run_serve)
    worker = commands.add_parser("worker", help="run a worker on the queue in MEDSAM3_REDIS_URL")
    worker.set_defaults(run=run_worker)
    agent = commands.add_parser(
        "agent-worker", help="carry agent runs out from the queue in MEDSAM3_REDIS_URL"
    )
    agent.set_defaults(run=run_agent_worker)


def run_serve(arguments: argparse.Namespace, setup: Setup) -> int:
    """Serve until SIGTERM or SIGINT.

    Raises:
        SettingsError: a public address without a key.
        BrokerDenied: Redis refuses the login.
        OSError: the address cannot be had.
    """
    given = {"host": arguments.host, "port": arguments.port}
    settings = _overridden(
        setup.settings, {name: value for name, value in given.items() if value is not None}
    )
    refuse_unguarded(settings)
    # Before the server: what is missing is told in one line here, in a traceback there.
    setup = replace(setup, settings=settings).loaded()
    asyncio.run(close_all(build_mllms(settings).values()))
    if settings.redis_url is not None:
        _look_at_queue(setup)
    listener = _listen(settings)
    set_up_logs()
    app = create_app(settings, partial(open_parts, setup))
    say(f"serving on http://{settings.host}:{settings.port}; not a medical device")
    config = uvicorn.Config(
        app,
        http=protocol(
            header_timeout_s=settings.header_timeout_s,
            max_connections=settings.max_connections,
            client_share=settings.client_share,
        ),
        ws="none",
        log_config=None,
        # Paths hold ids only, but there is no need to keep them.
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(DRAIN_S + CLOSE_S),
    )
    # uvicorn raises the signal again when it is done; for us that is a good end, as it is before.
    signal.signal(signal.SIGTERM, _end)
    server = Server(config, on_stop=partial(app.state.stop.stop, DRAIN_S))
    server.run(sockets=[listener])
    return OK if server.started else FAILED


def _look_at_queue(setup: Setup) -> None:
    """Say at the start what is wrong with Redis; unless it must be changed here, it is waited for.

    Raises:
        BrokerDenied: it refuses the login.
    """
    try:
        asyncio.run(live_workers(setup))
    except BrokerDenied:
        raise
    except TransportDown as error:
        say(f"warning: {error}; serving all the same, /health/ready tells when it works")


def _overridden(settings: Settings, given: dict[str, object]) -> Settings:
    """Let the command line win; what is wrong in it is named by its option.

    Raises:
        SettingsError: a value out of range.
    """
    try:
        return check_settings({**settings.model_dump(), **given})
    except SettingsError as error:
        message = str(error)
    for name in given:
        message = message.replace(f"{variable(name)}:", f"--{name}:")
    raise SettingsError(message)


def run_worker(arguments: argparse.Namespace, setup: Setup) -> int:
    """Answer jobs until SIGTERM or SIGINT; running ones are finished or handed back.

    Raises:
        TransportDown: Redis does not answer at the start; later the worker waits for it.
    """
    if setup.settings.redis_url is None:
        raise UsageFault("a worker needs MEDSAM3_REDIS_URL; medsam3 serve has one inside without")
    return _work(run_worker_process, setup, "loading the model")


def run_agent_worker(arguments: argparse.Namespace, setup: Setup) -> int:
    """Carry runs out until SIGTERM or SIGINT; those still going on are handed back.

    Raises:
        TransportDown: Redis does not answer at the start; later the worker waits for it.
    """
    if setup.settings.redis_url is None:
        raise UsageFault("an agent worker needs MEDSAM3_REDIS_URL; medsam3 serve has one inside")
    return _work(run_agent_process, setup, "carrying runs out")


def _work(process: WorkerProcess, setup: Setup, greeting: str) -> int:
    # A wrong address would otherwise look like a worker that waits for jobs.
    asyncio.run(live_workers(setup))
    set_up_logs()

    async def until_stopped() -> None:
        stop = _stop_on_signals()
        say(greeting)
        await process(setup, stop)

    asyncio.run(until_stopped())
    return OK


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def _listen(settings: Settings) -> socket.socket:
    """Take the address, before anything says that it is served.

    Raises:
        OSError: it cannot be had.
    """
    address = (settings.host, settings.port)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        made = socket.create_server(address, family=family)
    except OSError as error:
        reason = (
            f"cannot listen on {settings.host}:{settings.port}: {os.strerror(error.errno or 0)}"
        )
        raise OSError(error.errno, reason) from error
    # It names no protocol; with TCP named asyncio sets TCP_NODELAY. Else every answer on a
    # connection that is kept waits 40 ms for the client's acknowledgement.
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=made.detach())


def _end(number: int, frame: object) -> None:
    """End well; while it serves, uvicorn's own handler stands in its place."""
    raise SystemExit(OK)
