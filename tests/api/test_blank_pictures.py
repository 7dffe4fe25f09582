"""A picture of one value: nothing is outlined on it, however it is asked for."""

import json
import time
from collections.abc import Iterator
from functools import partial

import nibabel
import numpy as np
import pytest
from fastapi.testclient import TestClient

from api.bootstrap.parts import open_parts
from api.bootstrap.setup import Setup
from api.http.app import create_app
from api.settings import Settings
from segmenter.backends.compact.backend import CompactBackend
from segmenter.formats.raster.image import encode_png
from tests.api.conftest import BASE_URL

BOX = [30, 20, 90, 70]
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def real() -> Iterator[TestClient]:
    """The service with the bundled model."""
    app = create_app(Settings(), partial(open_parts, Setup(Settings(), lambda _: CompactBackend())))
    with TestClient(app, base_url=BASE_URL) as opened:
        yield opened


@pytest.fixture(params=[0, 90, 255])
def blank(request: pytest.FixtureRequest) -> bytes:
    return encode_png(np.full((96, 128, 3), request.param, np.uint8))


@pytest.mark.parametrize("concept", [None, "breast tumor"])
def test_a_box_finds_nothing_and_says_why(
    real: TestClient, blank: bytes, concept: str | None
) -> None:
    prompt = {"text": concept, "boxes": [{"box": BOX}]}
    answer = real.post(
        "/segment", files={"image": blank}, data={"prompts": json.dumps([prompt]), "threshold": "0"}
    )
    assert answer.status_code == 200
    [result] = answer.json()["results"]
    assert result["masks"] == []
    assert "one value" in result["reason"]


def test_the_agent_finds_nothing_in_a_box(real: TestClient, blank: bytes) -> None:
    answer = real.post(
        "/agent/segment",
        files={"image": blank},
        data={"request": "outline the breast tumor", "box": json.dumps(BOX)},
    )
    assert answer.status_code == 200
    found = answer.json()
    assert found["status"] != "found"
    assert [target["masks"] for target in found["targets"]] == [[]]


def test_a_box_on_a_volume_of_one_value_finds_nothing(real: TestClient) -> None:
    image = nibabel.Nifti1Image(np.full((64, 48, 3), 40, np.int16), np.eye(4))
    answer = real.post(
        "/segment/volume",
        files={"files": image.to_bytes()},
        data={"box": json.dumps([10, 8, 40, 30]), "frame": "1"},
    )
    assert answer.status_code == 202, answer.text
    job, end = answer.json(), time.monotonic() + DEADLINE_S
    while job["status"] not in ("done", "failed") and time.monotonic() < end:
        time.sleep(0.1)
        job = real.get(f"/segment/volume/{job['id']}").json()
    assert job["status"] == "done"
    assert job["objects"] == []
