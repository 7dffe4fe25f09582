"""POST /segment/volume and its job, through the whole HTTP stack with a worker inside."""

import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
import numpy as np
import pytest
from fastapi.testclient import TestClient

from api.bootstrap.parts import AppServices
from api.http.app import create_app
from api.settings import Settings
from segmenter.contract import Rle
from segmenter.masks import rle
from segmenter.services import open_embedded
from tests.api.conftest import BASE_URL
from tests.api.doubles import ServiceUnderTest, read
from tests.api.http.test_events import events_of
from tests.api.problems_seen import fields, problem
from tests.doubles import BRIGHT, NOTHING, ThresholdBackend
from tests.segmenter.volumes.sequences import (
    MAX_FRAMES,
    encode_frames,
    moving_square,
    open_raw,
    read_labels,
)

PATIENCE_S = 20.0
PIXELS = moving_square(6)
FILES = [("files", ("a", encode_frames(PIXELS)))]
FORM = {"prompt": BRIGHT}
LIMIT = 300_000


@pytest.fixture
def backend() -> ThresholdBackend:
    return ThresholdBackend()


@pytest.fixture
def client(service: ServiceUnderTest, backend: ThresholdBackend) -> Iterator[TestClient]:
    settings = Settings(max_upload_bytes=1000, max_volume_bytes=LIMIT)

    @asynccontextmanager
    async def opened() -> AsyncIterator[AppServices]:
        asked = settings.for_segmenter()
        async with (
            open_embedded(backend, read, asked, opener=open_raw) as services,
            service.opened() as parts,
        ):
            yield replace(parts, volumes=services.volumes)

    app = create_app(settings, opened)
    with TestClient(app, base_url=BASE_URL, raise_server_exceptions=False) as client:
        yield client


def send(client: TestClient, *, headers: Any = None, **form: str) -> httpx2.Response:
    return client.post("/segment/volume", files=FILES, data={**FORM, **form}, headers=headers)


def until(client: TestClient, url: str, *statuses: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        response = client.get(url)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        if found["status"] in statuses:
            return found
        assert response.headers["retry-after"]
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def test_a_volume_is_taken_on_at_once_and_done_later(client):
    taken = send(client)
    assert taken.status_code == 202, taken.text
    job = taken.json()
    assert taken.headers["location"] == f"/segment/volume/{job['id']}"
    assert int(taken.headers["retry-after"]) >= 1
    assert job["sequence"]["frames"] == 6
    assert job["progress"]["frames_total"] == 6
    done = until(client, taken.headers["location"], "done")
    [found] = done["objects"]
    assert (found["voxels"], found["volume_ml"]) == (384, pytest.approx(5.76))
    assert done["progress"] == {"frames_done": 6, "frames_total": 6}
    assert (done["needs_review"], done["concept"]) == (False, BRIGHT)
    assert done["provenance"]["segmenter"]["kind"] == "threshold"


def test_the_frames_of_a_volume_are_told_as_they_are_done(client):
    job = send(client).json()
    whole = events_of(client, job["events_url"])
    assert [(number, name) for number, name, _ in whole] == [
        (1, "volume.created"),
        *((done + 2, "volume.progress") for done in range(7)),
        (9, "volume.completed"),
    ]
    assert all(data["volume_id"] == job["id"] for _, _, data in whole)
    progress = [(data["frames_done"], data["frames_total"]) for _, _, data in whole[1:-1]]
    assert progress == [(done, 6) for done in range(7)]
    last = whole[-1][2]
    assert (last["status"], last["message"]) == ("done", "objects: 1")
    # A second watcher sees the same; one that comes again what it has not seen.
    assert events_of(client, job["events_url"]) == whole
    assert events_of(client, job["events_url"], after=4) == whole[4:]
    assert events_of(client, job["events_url"], after=9) == []
    assert events_of(client, job["events_url"], after=77) == []


def test_two_watch_a_volume_at_once_and_none_of_its_events_is_lost(client):
    job = send(client).json()
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(events_of, [client] * 2, [job["events_url"]] * 2)
    assert first == second
    assert first[-1][1] == "volume.completed"


def test_frames_come_in_pages_with_their_objects(client):
    place = send(client).headers["location"]
    done = until(client, place, "done")
    page = client.get(done["frames_url"], params={"from": 1, "to": 2}).json()
    assert [frame["frame"] for frame in page["frames"]] == [1, 2]
    assert page["next"] is None
    shown = page["frames"][0]["objects"][0]
    mask = rle.decode(Rle(size=tuple(shown["rle"]["size"]), counts=shown["rle"]["counts"]))
    assert (mask == (PIXELS[1, :, :, 0] == 255)).all()
    assert (shown["object_id"], shown["area_px"]) == (1, 64)


def test_a_long_page_is_cut_and_says_where_it_goes_on(client):
    files = [("files", encode_frames(moving_square(66)))]
    place = client.post("/segment/volume", files=files, data=FORM).headers["location"]
    until(client, place, "done")
    first = client.get(f"{place}/frames").json()
    assert [frame["frame"] for frame in first["frames"]] == list(range(64))
    assert first["next"] == 64
    rest = client.get(f"{place}/frames", params={"from": first["next"]}).json()
    assert ([frame["frame"] for frame in rest["frames"]], rest["next"]) == ([64, 65], None)
    assert client.get(f"{place}/frames", params={"from": 77}).json()["frames"] == []


def test_the_label_map_is_a_file_of_object_ids(client):
    done = until(client, send(client).headers["location"], "done")
    answer = client.get(done["labels_url"])
    assert answer.headers["content-type"] == "application/gzip"
    assert "labels.nii.gz" in answer.headers["content-disposition"]
    labels = read_labels(answer.content, PIXELS.shape[:3])
    assert (labels == (PIXELS[..., 0] == 255)).all()


def test_nothing_found_is_an_answer_that_a_person_should_look_at(client):
    done = until(client, send(client, prompt=NOTHING).headers["location"], "done")
    assert (done["objects"], done["needs_review"]) == ([], True)


def test_another_prompt_by_json_on_the_same_files(client):
    first = send(client, prompt=NOTHING).json()["id"]
    body = {"volume_id": first, "prompt": BRIGHT, "first": 1, "last": 2}
    taken = client.post("/segment/volume", json=body)
    assert taken.status_code == 202, taken.text
    done = until(client, taken.headers["location"], "done")
    assert done["objects"][0]["frames"] == 2
    assert done["asked"]["first"] == 1


def test_a_box_on_one_frame_is_followed(client):
    box = "1,6,20,18"
    taken = send(client, box=box, frame="2")
    assert taken.status_code == 202, taken.text
    done = until(client, taken.headers["location"], "done")
    assert (done["asked"]["box"], done["asked"]["frame"]) == ([1.0, 6.0, 20.0, 18.0], 2)
    assert done["objects"][0]["frames"] == 6


@pytest.mark.parametrize(
    ("form", "field"),
    [
        pytest.param({"last": "6"}, "last", id="past the end"),
        pytest.param({"first": "-1"}, "first", id="before the start"),
        pytest.param({"box": "1,2,3,4"}, "body", id="a box without a frame"),
        pytest.param({"box": "1,2,3", "frame": "0"}, "box", id="three sides"),
        pytest.param({"box": "90,0,99,9", "frame": "0"}, "box.box", id="a box outside"),
        pytest.param({"window": "40"}, "window", id="half a window"),
        pytest.param({"window": "40,-1"}, "window.width", id="a negative width"),
        pytest.param({"window": "40,400", "preset": "lung"}, "body", id="both windows"),
        pytest.param({"prompt": " "}, "prompt", id="a blank prompt"),
        pytest.param({"threshold": "2"}, "threshold", id="a threshold over 1"),
        pytest.param({"colour": "red"}, "colour", id="an unknown field"),
    ],
)
def test_a_wrong_field_is_named(client, form, field):
    response = send(client, **form)
    problem(response, 422, "invalid-field")
    assert fields(response) == [field]


def test_bodies_that_are_none_are_refused(client):
    problem(client.post("/segment/volume", json={"prompt": BRIGHT}), 422, "invalid-field")
    problem(client.post("/segment/volume", content=b"{"), 415, "unsupported-media-type")
    malformed = client.post(
        "/segment/volume", content=b"{", headers={"content-type": "application/json"}
    )
    problem(malformed, 400, "malformed-body")
    both = client.post(
        "/segment/volume", files=FILES, data={**FORM, "volume_id": "vol_" + "0" * 32}
    )
    assert fields(both) == ["volume_id"]
    wrong = client.post("/segment/volume", files=[("image", b"x")], data=FORM)
    assert fields(wrong) == ["image"]


def test_what_is_no_sequence_is_refused_at_once(client):
    response = client.post("/segment/volume", files=[("files", b"no sequence")], data=FORM)
    problem(response, 422, "broken-image")
    assert fields(response) == ["files"]


def test_limits_are_named(client):
    many = encode_frames(np.zeros((MAX_FRAMES + 1, 2, 2, 3), dtype=np.uint8))
    frames = client.post("/segment/volume", files=[("files", many)], data=FORM)
    assert f"limit is {MAX_FRAMES}" in problem(frames, 413, "image-too-large")["detail"]
    large = [("files", bytes(LIMIT // 2)), ("files", bytes(LIMIT // 2 + 1))]
    files = client.post("/segment/volume", files=large, data=FORM)
    assert f"{LIMIT} bytes" in problem(files, 413, "image-too-large")["detail"]
    body = client.post("/segment/volume", files=[("files", bytes(4 * 2**20))], data=FORM)
    problem(body, 413, "body-too-large")
    assert body.request.url.path == "/segment/volume"


def test_the_limit_of_images_stays_what_it_is(client):
    response = client.post("/segment", files={"image": bytes(2 * 2**20)}, data={"concept": BRIGHT})
    problem(response, 413, "body-too-large")


def test_an_unknown_job_is_not_found(client):
    place = "/segment/volume/vol_" + "0" * 32
    for response in (
        client.get(place),
        client.get(f"{place}/events"),
        client.get(f"{place}/frames"),
        client.get(f"{place}/labels.nii.gz"),
        client.post(f"{place}/cancel"),
        client.delete(place),
        client.post("/segment/volume", json={"volume_id": place[-36:], "prompt": BRIGHT}),
    ):
        problem(response, 404, "volume-not-found")
    problem(client.get("/segment/volume/vol_x"), 422, "invalid-field")


def test_the_same_key_gives_the_same_job_and_another_payload_is_refused(client, backend):
    headers = {"Idempotency-Key": "once"}
    first, again = send(client, headers=headers), send(client, headers=headers)
    assert first.json()["id"] == again.json()["id"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    other = send(client, headers=headers, prompt=NOTHING)
    problem(other, 422, "idempotency-key-reused")
    until(client, first.headers["location"], "done")
    assert backend.embeds == 6
    assert send(client).json()["id"] != first.json()["id"]


class TestSlow:
    @pytest.fixture
    def backend(self) -> ThresholdBackend:
        return ThresholdBackend(delay_s=0.3)

    def test_a_job_that_runs_has_no_frames_yet_and_can_be_cancelled_twice(self, client, backend):
        place = send(client).headers["location"]
        until(client, place, "running")
        problem(client.get(f"{place}/frames"), 409, "volume-not-done")
        problem(client.get(f"{place}/labels.nii.gz"), 409, "volume-not-done")
        for _ in range(2):
            answer = client.post(f"{place}/cancel").json()
            assert answer["status"] == "cancelled"
            assert answer["failure"]["type"] == "urn:medsam3:problem:job-cancelled"
        assert answer["needs_review"] is None
        [*_, (_, name, told)] = events_of(client, answer["events_url"])
        assert (name, told["status"]) == ("volume.cancelled", "cancelled")
        assert "cancelled" in told["message"]
        assert told["frames_done"] == answer["progress"]["frames_done"]
        time.sleep(0.7)
        assert backend.embeds <= 3

    def test_an_erased_job_is_gone(self, client):
        place = send(client).headers["location"]
        until(client, place, "running")
        assert client.delete(place).status_code == 204
        problem(client.get(place), 404, "volume-not-found")


class TestFailing:
    @pytest.fixture
    def backend(self) -> ThresholdBackend:
        return ThresholdBackend(fail_with=ValueError("John Doe"))

    def test_a_failure_is_told_without_its_words(self, client):
        place = send(client).headers["location"]
        failed = until(client, place, "failed")
        assert failed["failure"]["type"] == "urn:medsam3:problem:model-failed"
        assert "John" not in str(failed)
        [*_, (_, name, told)] = events_of(client, failed["events_url"])
        assert (name, told["status"], told["error"]) == ("volume.failed", "failed", "JobFailed")
        assert told["message"] == "The model failed"
        assert failed["objects"] is None
