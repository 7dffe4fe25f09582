"""The oracle behind a server on 127.0.0.1 that speaks both wires, as a real model's would."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from benchmarks.lift.oracle import Oracle

MAX_BODY_BYTES = 64 * 2**20
# What a model of 2026 would count for these questions is not known here; the words are counted.
CHARS_PER_TOKEN = 4


@contextmanager
def serve(oracle: Oracle) -> Iterator[str]:
    """Answer until the context ends; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = min(int(self.headers["Content-Length"]), MAX_BODY_BYTES)
            body = json.loads(self.rfile.read(length))
            gemini = ":generateContent" in self.path
            content = json.dumps(_answer(oracle, json.dumps(_words(body, gemini=gemini))))
            told = _gemini(content, body) if gemini else _openai(content, body)
            payload = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(oracle: Oracle, words: str) -> dict[str, object]:
    if "Write the plan." in words:
        return oracle.plan()
    return oracle.inspect() if "Judge every panel." in words else oracle.compare()


def _words(body: dict[str, Any], *, gemini: bool) -> list[str]:
    if gemini:
        return [p["text"] for c in body["contents"] for p in c["parts"] if "text" in p]
    parts = body["messages"][-1]["content"]
    return [parts] if isinstance(parts, str) else [p["text"] for p in parts if p["type"] == "text"]


def _openai(content: str, body: dict[str, Any]) -> dict[str, Any]:
    asked, answered = _tokens(body, content, gemini=False)
    return {
        "id": "chatcmpl-oracle",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model", ""),
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": content},
            }
        ],
        "usage": {
            "prompt_tokens": asked,
            "completion_tokens": answered,
            "total_tokens": asked + answered,
        },
    }


def _gemini(content: str, body: dict[str, Any]) -> dict[str, Any]:
    asked, answered = _tokens(body, content, gemini=True)
    return {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": content}]}, "finishReason": "STOP"}
        ],
        "usageMetadata": {
            "promptTokenCount": asked,
            "candidatesTokenCount": answered,
            "totalTokenCount": asked + answered,
        },
    }


def _tokens(body: dict[str, Any], content: str, *, gemini: bool) -> tuple[int, int]:
    letters = sum(map(len, _words(body, gemini=gemini)))
    return letters // CHARS_PER_TOKEN, len(content) // CHARS_PER_TOKEN
