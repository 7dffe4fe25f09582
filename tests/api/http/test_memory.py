"""What takes more memory than there is is refused with the figure, and the shares are told."""

import numpy as np
from fastapi.testclient import TestClient
from PIL import Image

from tests.api.doubles import ServiceUnderTest
from tests.api.problems_seen import problem
from tests.segmenter.formats.build import save


def blank(side: int) -> bytes:
    return save(Image.fromarray(np.zeros((side, side, 3), np.uint8)), "PNG")


def test_an_image_for_which_there_is_not_memory_enough_is_refused_with_the_figure(
    client: TestClient,
) -> None:
    # 36 megapixels in 0.1 MB: within all limits.
    answer = client.post("/images", files={"image": blank(6000)})
    detail = problem(answer, 413, "image-too-large")["detail"]
    assert "takes 333 MiB of memory, and this service has 256 MiB" in detail
    assert "MEDSAM3_MEMORY_MIB" in detail


def test_an_image_that_waits_for_memory_in_vain_may_be_sent_again(
    client: TestClient, service: ServiceUnderTest
) -> None:
    assert client.portal is not None
    held = service.memory.hold(service.memory.max_bytes, what="work")
    with client.portal.wrap_async_context_manager(held):
        answer = client.post("/images", files={"image": blank(64)})
        assert "takes 25 MiB of memory" in problem(answer, 429, "memory-busy")["detail"]
        assert int(answer.headers["Retry-After"]) > 0
    assert client.post("/images", files={"image": blank(64)}).status_code == 201


def test_the_shares_of_the_memory_are_told(client: TestClient) -> None:
    memory = client.get("/capabilities").json()["memory"]
    assert sum(memory.values()) == 2 * memory["budget"]
    assert memory["working"] > 0
