"""A client that gives up nothing: it tries again under the same key, and follows every run.

Everything it is told goes into its ledger. What a retry cannot mend is written down as a refusal.
"""

import asyncio
import itertools
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx2

from benchmarks.chaos.cases import Case
from benchmarks.chaos.ledger import (
    ENDS,
    CallEntry,
    Ledger,
    RunEntry,
    digest_of_call,
    digest_of_run,
)

# What says "try again": a key in use, too many requests, and all that is temporary.
RETRIED = (409, 429, 503)
PAUSE_S = (0.2, 1.0)
# A synchronous run waits for its answer; all others have theirs much sooner.
TIMEOUT = httpx2.Timeout(60.0, connect=2.0)
# A stream that is silent for so long is opened again.
SILENCE_S = 20.0
# Within how many seconds of its 202 the process that gave it is killed.
KILL_WITHIN_S = 0.03
CONNECTIONS = httpx2.Limits(max_connections=256, max_keepalive_connections=0)


class Client:
    """Sends the requests of a ledger; `kill_at` kills the process at an address."""

    def __init__(
        self,
        urls: list[str],
        cases: Mapping[str, Case],
        ledger: Ledger,
        rng: random.Random,
        kill_at: Callable[[str], None],
    ) -> None:
        """Open nothing yet; `close` closes what is opened later."""
        self._urls = itertools.cycle(urls)
        self._cases, self._ledger, self._rng, self._kill_at = cases, ledger, rng, kill_at
        self._http = httpx2.AsyncClient(timeout=TIMEOUT, limits=CONNECTIONS, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ready(self, workers: int, within_s: float) -> None:
        """Wait until every API process sees all workers; raises TimeoutError."""
        async with asyncio.timeout(within_s):
            for url in (next(self._urls), next(self._urls)):
                while (await self._get(f"{url}/health/ready")).get("workers") != workers:
                    await self._pause()

    async def run(self, entry: RunEntry) -> None:
        """Ask for a run until it is accepted, or done if the answer is waited for."""
        case = self._cases[entry.case]
        headers = {"Idempotency-Key": entry.key}
        if entry.is_async:
            headers["Prefer"] = "respond-async"
        answer = await self._post(
            entry, "/agent/segment", case.content, {"request": case.request}, headers
        )
        if answer is None:
            return
        entry.ids.append(answer["id"])
        if "targets" in answer:
            entry.digests.append(digest_of_run(answer))

    async def call(self, entry: CallEntry) -> None:
        """Ask for a direct segmentation until it is answered."""
        case = self._cases[entry.case]
        answer = await self._post(entry, "/segment", case.content, {"concept": case.concept}, {})
        if answer is not None:
            entry.digests.append(digest_of_call(answer))

    async def follow(self, entry: RunEntry, within_s: float) -> None:
        """Read the stream of an accepted run to its end, coming back whenever it breaks."""
        deadline = time.monotonic() + within_s
        while not entry.end and time.monotonic() < deadline:
            try:
                async with asyncio.timeout(SILENCE_S):
                    async for number, name in self._events(entry):
                        entry.events.append((number, name))
                        if name in ENDS:
                            return
            except (httpx2.HTTPError, TimeoutError) as error:
                self._ledger.retries[f"stream: {type(error).__name__}"] += 1
            await self._pause()

    async def look(self, entry: RunEntry, within_s: float) -> None:
        """Read an accepted run until it has ended, then its conversation."""
        deadline = time.monotonic() + within_s
        while entry.final not in ENDS.values() and time.monotonic() < deadline:
            status, answer = await self._read(f"/agent/runs/{entry.ids[0]}")
            if status == 200:
                entry.final = "done"
                entry.digests.append(digest_of_run(answer))
                thread = await self._read(f"/agent/threads/{answer['thread_id']}")
                entry.thread_runs = tuple(thread[1].get("runs", ()))
            elif status in (202, 404):
                entry.final = "running" if status == 202 else "gone"
            elif status not in RETRIED and status != 0:
                entry.final = "cancelled" if status == 409 else "failed"
                entry.refusal = entry.refusal or _problem(answer)
                return
            await self._pause()

    async def _post(
        self,
        entry: RunEntry | CallEntry,
        path: str,
        content: bytes,
        fields: dict[str, str],
        headers: dict[str, str],
    ) -> dict[str, Any] | None:
        while True:
            url = next(self._urls)
            try:
                answer = await self._http.post(
                    url + path, files={"image": content}, data=fields, headers=headers
                )
            except httpx2.HTTPError as error:
                self._ledger.retries[type(error).__name__] += 1
                await self._pause()
                continue
            if answer.status_code == 202 and isinstance(entry, RunEntry) and entry.kills_acceptor:
                delay_s = self._rng.uniform(0.0, KILL_WITHIN_S)
                asyncio.get_running_loop().call_later(delay_s, self._kill_at, url)
            if answer.is_success:
                found: dict[str, Any] = answer.json()
                return found
            problem = _problem(_json(answer))
            if answer.status_code not in RETRIED:
                entry.refusal = problem
                return None
            self._ledger.retries[problem] += 1
            await self._pause()

    async def _events(self, entry: RunEntry) -> AsyncIterator[tuple[int, str]]:
        last = entry.events[-1][0] if entry.events else 0
        url = f"{next(self._urls)}/agent/runs/{entry.ids[0]}/events"
        async with self._http.stream("GET", url, headers={"Last-Event-ID": str(last)}) as answer:
            if answer.status_code != 200:
                return
            fields: dict[str, str] = {}
            async for line in answer.aiter_lines():
                name, _, value = line.partition(":")
                fields[name] = value.strip()
                # An empty line ends an event; comments between events have no name.
                if not line and "event" in fields:
                    yield int(fields["id"]), fields["event"]
                    fields = {}

    async def _read(self, path: str) -> tuple[int, dict[str, Any]]:
        """Return status and JSON of an address, 0 and nothing while it cannot be reached."""
        try:
            answer = await self._http.get(next(self._urls) + path)
        except httpx2.HTTPError as error:
            self._ledger.retries[type(error).__name__] += 1
            return 0, {}
        return answer.status_code, _json(answer)

    async def _get(self, url: str) -> dict[str, Any]:
        try:
            return _json(await self._http.get(url))
        except httpx2.HTTPError:
            return {}

    async def _pause(self) -> None:
        await asyncio.sleep(self._rng.uniform(*PAUSE_S))


def _json(answer: httpx2.Response) -> dict[str, Any]:
    try:
        found: dict[str, Any] = answer.json()
    except json.JSONDecodeError:
        return {}
    return found


def _problem(answer: Mapping[str, Any]) -> str:
    return str(answer.get("type", "no problem")).rpartition(":")[2]
