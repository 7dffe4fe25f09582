"""Whatever is sent to it, a service stays within its budget of memory, and goes on answering.

Measured on a real process by the kernel (``VmHWM``): the most that was ever resident, libraries,
model and what the allocator kept included.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from api.machine_memory import OWN_BYTES
from tests.api.test_processes import free_port, process, until_ready
from tests.paths import SAMPLES
from tests.segmenter.formats.hostile import (
    large_picture,
    many_frames,
    many_pages,
    nifti_of_zeros,
    zipped_series,
)

MEBIBYTE = 2**20
AT_ONCE = 8
# Done, not yet done, too large for this budget, no room for it in time, no time.
EXPECTED = {200, 202, 413, 429, 504}
FIGURE = re.compile(r"\d+ (MiB|bytes)")
DEADLINE_S = 420.0

Send = Callable[[httpx2.Client], httpx2.Response]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc"),
]


@dataclass
class Service:
    """A `serve` with everything inside."""

    url: str
    pid: int
    budget_bytes: int

    def most_bytes(self) -> int:
        """The most memory that was ever resident."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, timeout=DEADLINE_S)


@pytest.fixture(params=[1024, 2048], ids=["1 GiB", "2 GiB"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    mebibytes, port, log = request.param, free_port(), tmp_path / "serve.log"
    environ = {
        "PATH": os.environ["PATH"],
        "MEDSAM3_MEMORY_MIB": str(mebibytes),
        "MEDSAM3_PORT": str(port),
    }
    url = f"http://127.0.0.1:{port}"
    with process("serve", environ=environ, log=log) as child:
        until_ready(url, 1, log)
        yield Service(url, child.pid, mebibytes * MEBIBYTE)


def picture(kind: str, number: int, **fields: str) -> Send:
    def send(client: httpx2.Client) -> httpx2.Response:
        content = large_picture(kind, number)
        return client.post("/segment", files={"image": content}, data=fields)

    return send


def run(number: int) -> Send:
    def send(client: httpx2.Client) -> httpx2.Response:
        content = large_picture("png", number)
        fields = {"request": "outline the breast tumor"}
        answer = client.post("/agent/segment", files={"image": content}, data=fields)
        if answer.status_code == 200:
            return client.get(f"/agent/runs/{answer.json()['id']}/overlay.png")
        return answer

    return send


def volume(content: bytes) -> Send:
    fields = {"prompt": "left ventricle", "first": "0", "last": "2"}

    def send(client: httpx2.Client) -> httpx2.Response:
        return client.post("/segment/volume", files=[("files", content)], data=fields)

    return send


def many_boxes() -> str:
    """Four prompts of 16 boxes, each of which may give a mask of the picture's size."""
    boxes = [{"box": [10 + 20 * number, 10, 7900, 4900]} for number in range(16)]
    return json.dumps([{"boxes": boxes}] * 4)


def test_the_peak_stays_below_the_budget_and_400_mib(service: Service) -> None:
    through, across = (
        nifti_of_zeros((800, 800, 460), (1.0, 1.0, 3.0)),
        nifti_of_zeros((460, 800, 800), (3.0, 1.0, 1.0)),
    )
    sends: list[Send] = [
        *(picture(kind, 1, concept="breast tumor") for kind in ("png", "jpeg", "webp", "tiff")),
        volume(through),
        volume(across),
        *(picture(kind, 2, concept="nuclei") for kind in ("png", "tiff")),
        volume(many_pages(40)),
        volume(many_frames(20)),
        volume(many_frames(100)),
        volume(zipped_series(300)),
        picture("png", 3, prompts=many_boxes()),
        *(run(number) for number in range(4, 8)),
        *(picture("png", number, concept="polyp", include_png="true") for number in range(8, 12)),
        volume(through),
    ]

    def answer(send: Send) -> httpx2.Response:
        with service.client() as client:
            return send(client)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(answer, sends))
    for each in answers:
        assert each.status_code in EXPECTED, each.text[:300]
        if each.status_code in (413, 429):
            assert FIGURE.search(each.json()["detail"]), each.text
        if each.status_code == 429:
            assert int(each.headers["Retry-After"]) > 0
    until_idle(service, answers)
    taken = service.most_bytes()
    assert taken < service.budget_bytes + OWN_BYTES, f"{taken / MEBIBYTE:.0f} MiB"
    # The memory that was held is there again.
    with service.client() as client:
        content = (SAMPLES / "busi_tumor.jpg").read_bytes()
        fields = {"concept": "breast tumor"}
        again = client.post("/segment", files={"image": content}, data=fields)
        assert again.status_code == 200
        assert again.json()["results"][0]["masks"]


def until_idle(service: Service, answers: list[httpx2.Response]) -> None:
    """Wait until all volumes that were taken on have ended."""
    places = [each.headers["Location"] for each in answers if each.status_code == 202]
    deadline = time.monotonic() + DEADLINE_S
    with service.client() as client:
        for place in places:
            while client.get(place).json()["status"] in ("queued", "running"):
                assert time.monotonic() < deadline
                time.sleep(0.5)
