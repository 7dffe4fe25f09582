"""A scripted server on 127.0.0.1 that speaks Gemini's generateContent and OpenAI's chat wire.

It answers request n with step n of its script (the last step repeats) and keeps what it was sent.
Shared: the list of requests, appended by one thread per connection. Bounded: size and number of
requests, and every wait ends when the server closes.
"""

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

MAX_BODY_BYTES = 32 * 2**20
MAX_REQUESTS = 100
MAX_WAIT_S = 20.0


@dataclass(frozen=True)
class Received:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def is_gemini(self) -> bool:
        return ":generateContent" in self.path

    @property
    def pictures(self) -> list[bytes]:
        """All pictures of the request, decoded."""
        if self.is_gemini:
            parts = [part for content in self.body["contents"] for part in content["parts"]]
            found = [part.get("inlineData") or part.get("inline_data") for part in parts]
            # google-genai writes the URL-safe alphabet; the real service takes both.
            return [base64.b64decode(item["data"], altchars=b"-_") for item in found if item]
        urls = [part["image_url"]["url"] for part in self._parts() if part["type"] == "image_url"]
        return [base64.b64decode(url.removeprefix("data:image/png;base64,")) for url in urls]

    @property
    def words(self) -> str:
        """All words of the request but the system's."""
        if self.is_gemini:
            parts = [part for content in self.body["contents"] for part in content["parts"]]
            return "\n".join(part["text"] for part in parts if "text" in part)
        return "\n".join(part["text"] for part in self._parts() if part["type"] == "text")

    @property
    def system(self) -> str:
        if self.is_gemini:
            held = self.body.get("systemInstruction") or self.body["system_instruction"]
            return "\n".join(part["text"] for part in held["parts"])
        return str(self.body["messages"][0]["content"])

    @property
    def settings(self) -> dict[str, Any]:
        """Gemini's generationConfig, or OpenAI's body without the messages."""
        if self.is_gemini:
            return dict(self.body.get("generationConfig") or {})
        return {name: value for name, value in self.body.items() if name != "messages"}

    def _parts(self) -> list[dict[str, Any]]:
        return list(self.body["messages"][-1]["content"])


@dataclass(frozen=True)
class Step:
    """What the server does with one request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    wait_s: float = 0.0
    drip_s: float = 0.0
    drop: bool = False
    promised_bytes: int | None = None


Script = Sequence[Step | Callable[[Received], Step]]


def sends(body: object, *, status: int = 200, **rest: Any) -> Step:
    """Send a body as JSON."""
    return Step(status=status, body=json.dumps(body).encode(), **rest)


def says(content: object, *, finish: str | None = None) -> Callable[[Received], Step]:
    """Answer as a model does, on whichever wire the question came; a dict becomes JSON text."""
    text = content if isinstance(content, str) else json.dumps(content)

    def answer(received: Received) -> Step:
        wire = gemini_answer if received.is_gemini else openai_answer
        return sends(wire(text) if finish is None else wire(text, finish))

    return answer


def gemini_answer(text: str, finish: str = "STOP") -> dict[str, Any]:
    return {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": finish}
        ],
        "usageMetadata": {
            "promptTokenCount": 100,
            "candidatesTokenCount": 20,
            "thoughtsTokenCount": 5,
            "totalTokenCount": 125,
        },
        "modelVersion": "scripted",
    }


def openai_answer(text: str | None, finish: str = "stop", **message: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "scripted",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, **message},
                "finish_reason": finish,
            }
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 25, "total_tokens": 125},
    }


class Loopback:
    """The running server."""

    def __init__(self, script: Script) -> None:
        self.received: list[Received] = []
        self._script = script
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(self)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, received: Received) -> Step:
        with self._lock:
            if len(self.received) >= MAX_REQUESTS:
                return Step(status=503)
            self.received.append(received)
            step = self._script[min(len(self.received), len(self._script)) - 1]
        return step(received) if callable(step) else step

    def wait(self, seconds: float) -> None:
        self._closing.wait(min(seconds, MAX_WAIT_S))

    @property
    def closing(self) -> bool:
        return self._closing.is_set()

    def run(self) -> None:
        self._server.serve_forever(poll_interval=0.02)

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def loopback(*script: Step | Callable[[Received], Step]) -> Iterator[Loopback]:
    """Serve the script until the block ends."""
    server = Loopback(script)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(timeout=MAX_WAIT_S)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True

    def __init__(self, loop: Loopback) -> None:
        self.loop = loop
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers hang up in the middle; that is what is tested."""


class _Handler(BaseHTTPRequestHandler):
    # One request per connection: nothing lingers when a test ends.
    protocol_version = "HTTP/1.0"
    timeout = MAX_WAIT_S

    @property
    def _loop(self) -> Loopback:
        assert isinstance(self.server, _Server)
        return self.server.loop

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", "0"))
        if size > MAX_BODY_BYTES:
            self.send_error(413)
            return
        sent = self.rfile.read(size)
        is_form = "form-urlencoded" in self.headers.get("Content-Type", "")
        body = dict(parse_qsl(sent.decode())) if is_form else json.loads(sent or b"{}")
        self._play(self._loop.take(Received(self.path, dict(self.headers.items()), body)))

    def do_GET(self) -> None:
        self.send_error(404)

    def _play(self, step: Step) -> None:
        self._loop.wait(step.wait_s)
        if step.drop:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(step.status)
        self.send_header("Content-Type", step.content_type)
        self.send_header("Content-Length", str(step.promised_bytes or len(step.body)))
        for name, value in step.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self._write(step)

    def _write(self, step: Step) -> None:
        if not step.drip_s:
            self.wfile.write(step.body)
            return
        for byte in step.body:
            if self._loop.closing:
                return
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            self._loop.wait(step.drip_s)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
