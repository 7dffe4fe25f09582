"""DICOM series over HTTP: choices, strays and places, with the real reader."""

import io
import zipfile
from collections.abc import AsyncIterator, Iterator
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
from segmenter.services import open_embedded
from tests.api.conftest import BASE_URL
from tests.api.doubles import ServiceUnderTest, read
from tests.api.http.routes.test_volumes import until
from tests.doubles import BRIGHT, ThresholdBackend
from tests.segmenter.formats.build import dicom
from tests.segmenter.formats.dicom.series.build import AXIAL, OTHER, SERIES

SLICES = 5


@pytest.fixture
def client(service: ServiceUnderTest) -> Iterator[TestClient]:
    settings = Settings()

    @asynccontextmanager
    async def opened() -> AsyncIterator[AppServices]:
        asked = settings.for_segmenter()
        async with (
            open_embedded(ThresholdBackend(), read, asked) as services,
            service.opened() as parts,
        ):
            yield replace(parts, volumes=services.volumes)

    app = create_app(settings, opened)
    with TestClient(app, base_url=BASE_URL, raise_server_exceptions=False) as client:
        yield client


def tilted(k: int, **tags: Any) -> bytes:
    """A slice of a tilted stack; a block of 6 x 8 is bright on all but the first and last."""
    pixels = np.zeros((24, 32), np.int16)
    if 0 < k < SLICES - 1:
        pixels[4:10, 6:14] = 1000
    known: dict[str, Any] = {
        "Modality": "CT",
        "SeriesInstanceUID": SERIES,
        "InstanceNumber": str(k + 1),
        "ImagePositionPatient": ["0", f"{k * 1.092:.3f}", f"{3 * k}"],
        "ImageOrientationPatient": AXIAL,
        "PixelSpacing": ["0.5", "0.75"],
    }
    return dicom(pixels, **(known | tags))


def send(client: TestClient, files: dict[str, bytes], **form: str) -> httpx2.Response:
    parts = [("files", (name, content)) for name, content in files.items()]
    return client.post("/segment/volume", files=parts, data={"prompt": BRIGHT, **form})


def test_a_tilted_series_is_measured_and_its_strays_are_named(client: TestClient) -> None:
    files = {f"IM{k}": tilted(k) for k in reversed(range(SLICES))}
    taken = send(client, {"notes/REPORT.pdf": b"%PDF-1.4", **files, "README": b"hello"})
    assert taken.status_code == 202, taken.text
    answer = until(client, taken.headers["location"], "done")
    sequence = answer["sequence"]
    assert sequence["skipped"] == [
        {"file": 1, "name": "REPORT.pdf", "what": "PDF document"},
        {"file": 7, "name": "README", "what": "text"},
    ]
    assert sequence["skipped_files"] == 2
    assert sequence["slice_mm"] == pytest.approx(3.0)
    assert "the grid is sheared by 20.0 degrees" in sequence["rendering"]
    (found,) = answer["objects"]
    assert found["voxels"] == 3 * 48
    assert found["volume_ml"] == pytest.approx(3 * 48 * 0.5 * 0.75 * 3 / 1000, rel=1e-6)

    frames = client.get(answer["frames_url"], params={"from": 1, "to": 2}).json()["frames"]
    assert [frame["source"] for frame in frames] == [
        {
            "file": 5,
            "frame": None,
            "instance_number": 2,
            "position_mm": [0.0, 1.092, 3.0],
            "time_ms": None,
        },
        {
            "file": 4,
            "frame": None,
            "instance_number": 3,
            "position_mm": [0.0, 2.184, 6.0],
            "time_ms": None,
        },
    ]
    # Asked anew, the files are called the same.
    again = client.post("/segment/volume", json={"volume_id": answer["id"], "prompt": BRIGHT})
    assert again.json()["sequence"]["skipped"] == sequence["skipped"]


def test_one_of_two_series_is_chosen_and_asked_for_in_words(client: TestClient) -> None:
    files = {f"A{k}": tilted(k) for k in range(SLICES)}
    files |= {f"B{k}": tilted(k, SeriesInstanceUID=OTHER, Modality="MR") for k in (1, 2)}
    refused = send(client, files)
    assert refused.status_code == 422
    (fault,) = refused.json()["errors"]
    assert fault["field"] == "series"
    assert (
        "1: CT, 5 slices of 32 x 24 (0.75 x 0.5 mm), such as file 1; 2: MR, 2" in fault["message"]
    )
    for series in ("2", OTHER):
        taken = send(client, files, series=series)
        assert taken.status_code == 202
        assert taken.json()["sequence"]["modality"] == "MR"


def test_files_that_do_not_fit_together_are_refused_with_both_values(client: TestClient) -> None:
    files = {f"A{k}": tilted(k, PixelSpacing=["0.5", f"0.{75 + k}"]) for k in (0, 1)}
    refused = send(client, files)
    assert refused.status_code == 422
    (fault,) = refused.json()["errors"]
    assert fault["field"] == "files"
    assert r"PixelSpacing differs: 0.5\0.75 in file 1 and 0.5\0.76 in file 2" in fault["message"]


def test_a_volume_of_a_series_in_an_archive_is_chosen(client: TestClient) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("st/DICOMDIR", b"x")
        for time in (0, 1):
            for k in range(SLICES):
                shifted = k + time if k + time < SLICES else 0
                archive.writestr(
                    f"st/{time}/{k}",
                    tilted(
                        shifted,
                        ImagePositionPatient=["0", "0", str(3 * k)],
                        TriggerTime=str(500 * time),
                        InstanceNumber=str(10 * time + k),
                    ),
                )
    taken = send(client, {"scan.zip": stream.getvalue()}, volume="2")
    answer = until(client, taken.headers["location"], "done")
    assert "volume 2 of 2 by TriggerTime" in answer["sequence"]["rendering"]
    assert answer["sequence"]["skipped"] == [{"file": 1, "name": "DICOMDIR", "what": "DICOMDIR"}]
    assert [answer["objects"][0][end] for end in ("first", "last")] == [0, 2]
    frames = client.get(answer["frames_url"]).json()["frames"]
    assert {frame["source"]["time_ms"] for frame in frames} == {500.0}
    refused = send(client, {"scan.zip": stream.getvalue()}, volume="3")
    assert refused.status_code == 422
    assert "there are 2 volumes" in refused.text
