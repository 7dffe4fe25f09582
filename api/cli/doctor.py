"""``medsam3 doctor`` and ``capabilities``: what works here, and what to do about the rest."""

import argparse
import asyncio
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

from agent.mllm.contract import Mllm
from api.bootstrap.backends import SAM3_INSTALL, WeightsFault
from api.bootstrap.mllm_probe import Probed, probe
from api.bootstrap.parts import open_parts
from api.bootstrap.planners import Kind, build_mllms, close_all, describe
from api.bootstrap.processes import live_workers
from api.bootstrap.setup import Setup
from api.cli.output import FAILED, OK, Commands, UsageFault, say, show, tell
from api.operations import describe_service
from api.problem_kinds import START_AGENT, kind_of
from api.settings import Settings, SettingsError, refuse_unguarded
from segmenter.backends.contract import Backend, DescribedBackend
from segmenter.contract import Prompt
from segmenter.errors import BrokerRefusal, SegmenterError

PYTHONS = ((3, 11), (3, 12))
# Large enough for every view that a model takes of a picture.
SMOKE_SHAPE = (240, 320)
MARKS = {"ok": "ok  ", "note": "note", "fail": "FAIL"}


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        state: ``note`` is for something that the default path does not need.
        advice: what to do, "" if nothing.
    """

    name: str
    state: Literal["ok", "note", "fail"]
    found: str
    advice: str = ""


class Diagnosis(BaseModel):
    """All findings; `works` says whether what is configured can do its work."""

    works: bool
    checks: list[Check]


WEIGHTS_ADVICE = {
    "compact": "get segmenter/weights/compact again: install the package or clone anew",
    "sam3": "check MEDSAM3_SAM3_WEIGHTS and MEDSAM3_SAM3_LORA; the README tells how to get both",
}
RULES_ADVICE = "or use MEDSAM3_PLANNER=rules, which needs nothing"
MLLM_ADVICE = "check its address, model name and key; until it answers, the rules plan and say so"


def add_commands(commands: Commands) -> None:
    """Declare both commands."""
    doctor = commands.add_parser("doctor", help="check this installation and its settings")
    doctor.add_argument("--json", action="store_true")
    doctor.add_argument(
        "--worker", action="store_true", help="only: is a worker alive on the queue (health check)"
    )
    doctor.set_defaults(run=run_doctor)
    capabilities = commands.add_parser("capabilities", help="print what can be asked for, as JSON")
    capabilities.add_argument("--json", action="store_true", help="it always is")
    capabilities.set_defaults(run=run_capabilities)


def run_doctor(arguments: argparse.Namespace, setup: Setup) -> int:
    """Check and report."""
    if arguments.worker and setup.settings.redis_url is None:
        raise UsageFault("--worker needs MEDSAM3_REDIS_URL")
    checks = [_queue(setup, needs_worker=True)] if arguments.worker else list(_all(setup))
    diagnosis = Diagnosis(works=all(check.state != "fail" for check in checks), checks=checks)
    tell(diagnosis, arguments, _print_diagnosis)
    return OK if diagnosis.works else FAILED


def run_capabilities(arguments: argparse.Namespace, setup: Setup) -> int:
    """Ask the model in this process what it can do."""
    say("loading the model")

    async def ask() -> BaseModel:
        async with open_parts(setup.embedded()) as parts:
            return await describe_service(parts, setup.settings)

    show(asyncio.run(ask()))
    return OK


def _all(setup: Setup) -> Iterator[Check]:
    settings = setup.settings
    yield _python()
    yield _package("onnxruntime", needed=True, advice="install the package again")
    yield from _weights(setup)
    yield _queue(setup, needs_worker=False)
    yield from _planner(settings)
    yield _egress(settings)
    yield _keys(settings)
    yield _port(settings)
    uses_sam3 = settings.backend == "sam3"
    for name in ("torch", "transformers", "peft"):
        yield _package(name, needed=uses_sam3, advice=f"for SAM 3: {SAM3_INSTALL}")
    if not uses_sam3:
        advice = "MEDSAM3_BACKEND=sam3 and MEDSAM3_SAM3_WEIGHTS switch to it"
        yield Check("sam3", "note", "not in use; the bundled compact model answers", advice)


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] in PYTHONS:
        return Check("python", "ok", found)
    return Check("python", "fail", found, "use Python 3.11 or 3.12")


def _package(name: str, *, needed: bool, advice: str) -> Check:
    try:
        return Check(name, "ok", version(name))
    except PackageNotFoundError:
        state: Literal["fail", "note"] = "fail" if needed else "note"
        return Check(name, state, "not installed", advice)


def _weights(setup: Setup) -> Iterator[Check]:
    """Load the weights, which checks their hashes, and let them answer once."""
    try:
        backend = setup.load(setup.settings)
    except WeightsFault as error:
        advice = WEIGHTS_ADVICE[setup.settings.backend]
        yield Check("weights", "fail", str(error.__cause__ or error), advice)
        return
    model = backend.capabilities.model
    notes = f", {backend.notes}" if isinstance(backend, DescribedBackend) else ""
    found = f"{model.weights_id}, sha256 {model.weights_sha256[:12]}{notes}"
    yield Check("weights", "ok", found)
    yield _smoke(backend)


def _smoke(backend: Backend[Any]) -> Check:
    """Ask for one concept in an empty picture; what comes out does not matter."""
    known = backend.capabilities.concepts
    prompt = Prompt(text=known[0] if known else "mass")
    started = time.monotonic()
    try:
        embedding = backend.embed(np.zeros((*SMOKE_SHAPE, 3), dtype=np.uint8))
        backend.predict(embedding, [prompt], threshold=None)
    except Exception as error:  # noqa: BLE001 - whatever a model may raise is the finding
        advice = "try another device or dtype, or get the weights again"
        return Check("smoke run", "fail", f"the model failed with {type(error).__name__}", advice)
    seconds = time.monotonic() - started
    return Check("smoke run", "ok", f"one picture, one prompt: {seconds:.2f} s")


def _queue(setup: Setup, *, needs_worker: bool) -> Check:
    if setup.settings.redis_url is None:
        return Check("queue", "ok", "in this process, no Redis configured")
    try:
        workers, agent_workers = asyncio.run(live_workers(setup))
    except SegmenterError as error:
        advice = "start it, or check MEDSAM3_REDIS_URL"
        if isinstance(error, BrokerRefusal):
            advice = kind_of(error).detail or advice
        return Check("queue", "fail", str(error), advice)
    found = f"Redis answers, workers alive: {len(workers)}, agent workers alive: {agent_workers}"
    if not workers:
        state: Literal["fail", "note"] = "fail" if needs_worker else "note"
        return Check("queue", state, found, "start one: medsam3 worker")
    if agent_workers == 0 and not needs_worker:
        return Check("queue", "note", found, f"start one: {START_AGENT}")
    return Check("queue", "ok", found)


def _planner(settings: Settings) -> Iterator[Check]:
    """Ask each MLLM that is set up once; the rules, which take over, need nothing."""
    try:
        mllms = build_mllms(settings)
    except SettingsError as error:
        yield Check("planner", "fail", str(error), RULES_ADVICE)
        return
    if settings.planner == "rules":
        yield Check("planner", "ok", "rules")
    for kind, probed in asyncio.run(_probe(mllms)).items():
        is_default = kind == settings.planner
        name = "planner" if is_default else "on request"
        found = f"{kind}: {describe(settings, kind)}, {probed.words}"
        if probed.answers:
            yield Check(name, "ok", found)
        else:
            yield Check(name, "fail" if is_default else "note", found, MLLM_ADVICE)


async def _probe(mllms: Mapping[Kind, Mllm]) -> dict[Kind, Probed]:
    try:
        return {kind: await probe(mllm) for kind, mllm in mllms.items()}
    finally:
        await close_all(mllms.values())


def _egress(settings: Settings) -> Check:
    if settings.egress == "off":
        return Check("egress", "ok", "off: nothing leaves this machine")
    found = "deidentified: rendered pictures and request words go to the MLLM"
    return Check("egress", "note", found, "MEDSAM3_EGRESS=off keeps all here")


def _keys(settings: Settings) -> Check:
    try:
        refuse_unguarded(settings)
    except SettingsError as error:
        return Check("keys", "fail", str(error), "see there")
    found = f"{len(settings.api_keys)} API keys" if settings.api_keys else "none, loopback only"
    return Check("keys", "ok", found)


def _port(settings: Settings) -> Check:
    address = f"{settings.host}:{settings.port}"
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            advice = "perhaps the service runs already; else use --port"
            return Check("port", "note", f"{address} is not free ({error.strerror})", advice)
    return Check("port", "ok", f"{address} is free")


def _print_diagnosis(diagnosis: Diagnosis) -> None:
    for check in diagnosis.checks:
        print(f"{MARKS[check.state]}  {check.name:<12} {check.found}")
        if check.advice:
            print(f"      {'':<12} -> {check.advice}")
    print("works" if diagnosis.works else "does not work: see FAIL above")
