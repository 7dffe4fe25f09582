"""Real answers of a served process, each held to the document that the process serves."""

import os
import time
from collections.abc import Iterator

import httpx2
import pytest
import schemathesis
from PIL import Image

from tests.api.test_processes import HEADERS, KEY, free_port, process, until_ready
from tests.paths import SAMPLES

WAIT_S = 60.0
ENVIRON = {"PATH": os.environ["PATH"], "MEDSAM3_API_KEYS": KEY}
SAMPLE = (SAMPLES / "busi_tumor.jpg").read_bytes()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, log = free_port(), tmp_path_factory.mktemp("served") / "serve.log"
    with process("serve", "--port", str(port), environ=ENVIRON, log=log):
        until_ready(f"http://127.0.0.1:{port}", 1, log)
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def names(url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Ask for a run and a volume, and return what the paths of their answers are made of."""
    page = Image.open(SAMPLES / "busi_tumor.jpg").convert("L")
    stack = tmp_path_factory.mktemp("volume") / "stack.tif"
    page.save(stack, save_all=True, append_images=[page])
    with httpx2.Client(base_url=url, timeout=WAIT_S, headers=HEADERS) as client:
        run = client.post(
            "/agent/segment",
            files={"image": SAMPLE},
            data={"request": "Outline the breast tumour"},
        ).json()
        volume = client.post(
            "/segment/volume",
            files={"files": stack.read_bytes()},
            data={"prompt": "breast tumor"},
        ).json()
        image = client.post("/images", files={"image": SAMPLE}).json()
        deadline = time.monotonic() + WAIT_S
        while client.get(f"/segment/volume/{volume['id']}").json()["status"] != "done":
            assert time.monotonic() < deadline
            time.sleep(0.1)
    return {
        "run_id": run["id"],
        "thread_id": run["thread_id"],
        "mask_id": run["targets"][0]["masks"][0]["id"],
        "number": 1,
        "volume_id": volume["id"],
        "image_id": image["image_id"],
    }


PATHS = (
    "/agent/runs/{run_id}",
    "/agent/runs/{run_id}/events",
    "/agent/runs/{run_id}/recording",
    "/agent/runs/{run_id}/overlay.png",
    "/agent/runs/{run_id}/masks/{mask_id}.png",
    "/agent/runs/{run_id}/rounds/{number}.png",
    "/agent/threads/{thread_id}",
    "/segment/volume/{volume_id}",
    "/segment/volume/{volume_id}/events",
    "/segment/volume/{volume_id}/frames",
    "/segment/volume/{volume_id}/labels.nii.gz",
    "/images/{image_id}",
    "/capabilities",
    "/health/ready",
)


@pytest.mark.parametrize("path", PATHS)
def test_an_answer_is_what_the_document_says(url: str, names: dict[str, object], path: str) -> None:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", headers=HEADERS)
    wanted = {name: value for name, value in names.items() if "{" + name + "}" in path}
    case = schema[path]["GET"].Case(path_parameters=wanted, headers=HEADERS)
    response = case.call()
    assert response.status_code == 200, response.text
    case.validate_response(response)
