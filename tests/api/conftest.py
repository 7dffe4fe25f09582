import base64
from collections.abc import Iterator

import numpy as np
import pytest
from fastapi.testclient import TestClient

from api.http.app import create_app
from api.settings import Settings
from segmenter.formats.raster.image import encode_png
from tests.api.doubles import ServiceUnderTest, new_service

BASE_URL = "http://127.0.0.1:8000"


@pytest.fixture
def service() -> ServiceUnderTest:
    return new_service()


@pytest.fixture
def settings() -> Settings:
    return Settings(max_upload_bytes=200_000)


@pytest.fixture
def client(service: ServiceUnderTest, settings: Settings) -> Iterator[TestClient]:
    app = create_app(settings, service.opener())
    with TestClient(app, base_url=BASE_URL, raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture
def png() -> bytes:
    """40 x 30, black with a bright spot of 10 x 8 at (20, 10)."""
    pixels = np.zeros((30, 40, 3), dtype=np.uint8)
    pixels[10:18, 20:30] = 220
    return encode_png(pixels)


@pytest.fixture
def png_text(png: bytes) -> str:
    return base64.b64encode(png).decode()
