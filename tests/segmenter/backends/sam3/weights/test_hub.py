"""Names on the hub, against a hub of our own that refuses in the ways the real one does."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("huggingface_hub", reason="SAM 3 needs the extra 'sam3'")

from segmenter.backends.sam3.errors import WeightsError
from segmenter.backends.sam3.weights.hub import locate


class Refusal(BaseHTTPRequestHandler):
    """Answers every request with the server's status and error code."""

    def do_GET(self) -> None:
        status, code = self.server.refusal  # type: ignore[attr-defined]
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *args: object) -> None:
        """Stay silent."""


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Iterator[ThreadingHTTPServer]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (
            403,
            "GatedRepo",
            r"no access to facebook/sam3 yet: ask .*/facebook/sam3 .* hf auth login",
        ),
        (401, "RepoNotFound", r"shows no facebook/sam3 to you.* hf auth login"),
        (404, "RepoNotFound", r"shows no facebook/sam3 to you"),
        (403, None, r"refused facebook/sam3 \(HTTP 403\)"),
    ],
)
def test_a_refusal_says_what_to_do(hub, status, code, message):
    hub.refusal = (status, code)
    endpoint = f"http://127.0.0.1:{hub.server_address[1]}"
    with pytest.raises(WeightsError, match=message):
        locate("facebook/sam3", download=True, endpoint=endpoint)


def test_a_hub_that_is_away_says_so(hub):
    hub.server_close()
    endpoint = "http://127.0.0.1:1"
    with pytest.raises(WeightsError, match="cannot be fetched: the hub does not answer"):
        locate("facebook/sam3", download=True, endpoint=endpoint)


def test_without_leave_to_fetch_the_cache_alone_is_looked_at(hub):
    with pytest.raises(WeightsError, match="not in the local cache: medsam3 convert facebook/sam3"):
        locate("facebook/sam3", download=False, endpoint="http://127.0.0.1:1")


def test_a_path_that_is_there_wins(tmp_path, monkeypatch):
    (tmp_path / "facebook" / "sam3").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert locate("facebook/sam3", download=False).is_dir()
    assert str(locate("/nowhere/sam3.pt", download=True)) == "/nowhere/sam3.pt"
