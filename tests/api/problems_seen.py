"""What every error answer has to look like."""

from typing import Any

import httpx2

KEYS = {"type", "title", "status", "detail", "errors"}


def problem(response: httpx2.Response, status: int, slug: str) -> dict[str, Any]:
    """Assert that a response is this problem and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert set(found) - {"run_id"} == KEYS
    assert found["type"] == f"urn:medsam3:problem:{slug}"
    assert found["status"] == status
    assert "Traceback" not in response.text
    return found


def fields(response: httpx2.Response) -> list[str]:
    """Return the paths of the fields an error names."""
    return [item["field"] for item in response.json()["errors"]]
