"""The document: complete, and the same as the one in the repository."""

import json
import re
import tomllib
from typing import Any

import pytest
from pydantic import BaseModel

from api import VERSION
from api.http.app import create_app
from api.http.openapi.document import EXPORTED, export
from api.schemas.answers import CapabilitiesAnswer, ImageOut, LiveAnswer, ReadyAnswer, SegmentAnswer
from api.schemas.requests import AgentBody, ImageBody, SegmentBody
from api.schemas.run_answers import RunAnswer, RunningAnswer, ThreadAnswer
from api.schemas.volume_answers import FramesAnswer, VolumeAnswer
from api.schemas.volume_requests import VolumeBody
from api.settings import Settings
from tests.api.doubles import new_service
from tests.paths import ROOT

OPERATIONS = {
    ("post", "/segment"): "segment",
    ("post", "/segment/volume"): "segmentVolume",
    ("get", "/segment/volume/{volume_id}"): "getVolume",
    ("get", "/segment/volume/{volume_id}/events"): "getVolumeEvents",
    ("get", "/segment/volume/{volume_id}/frames"): "getVolumeFrames",
    ("get", "/segment/volume/{volume_id}/labels.nii.gz"): "getVolumeLabels",
    ("post", "/segment/volume/{volume_id}/cancel"): "cancelVolume",
    ("delete", "/segment/volume/{volume_id}"): "eraseVolume",
    ("post", "/agent/segment"): "agentSegment",
    ("post", "/images"): "uploadImage",
    ("get", "/images/{image_id}"): "getImage",
    ("delete", "/images/{image_id}"): "eraseImage",
    ("get", "/agent/runs/{run_id}"): "getRun",
    ("get", "/agent/runs/{run_id}/events"): "getRunEvents",
    ("get", "/agent/runs/{run_id}/recording"): "getRecording",
    ("post", "/agent/runs/{run_id}/cancel"): "cancelRun",
    ("get", "/agent/runs/{run_id}/masks/{mask_id}.png"): "getMask",
    ("get", "/agent/runs/{run_id}/overlay.png"): "getOverlay",
    ("get", "/agent/runs/{run_id}/rounds/{number}.png"): "getRound",
    ("get", "/agent/threads/{thread_id}"): "getThread",
    ("delete", "/agent/threads/{thread_id}"): "eraseThread",
    ("get", "/capabilities"): "getCapabilities",
    ("get", "/health/live"): "getLive",
    ("get", "/health/ready"): "getReady",
}


BODIES = (
    ("post", "/segment"),
    ("post", "/segment/volume"),
    ("post", "/agent/segment"),
    ("post", "/images"),
)


@pytest.fixture(scope="module")
def text() -> str:
    return export(create_app(Settings(), new_service().opener()))


@pytest.fixture(scope="module")
def document(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_the_exported_document_is_the_one_that_is_served(text: str) -> None:
    advice = "write it anew: .venv/bin/python -m api.http.export"
    assert EXPORTED.read_text(encoding="utf-8") == text, advice


def test_operation_ids_are_stable(document: dict[str, Any]) -> None:
    found = operations(document)
    assert {key: value["operationId"] for key, value in found.items()} == OPERATIONS


def test_every_error_is_declared_as_a_problem_with_examples(document: dict[str, Any]) -> None:
    for operation in operations(document).values():
        errors = {int(code) for code in operation["responses"] if int(code) >= 400}
        assert 500 in errors
        for code in errors:
            content = operation["responses"][str(code)]["content"]
            assert list(content) == ["application/problem+json"]
            media = content["application/problem+json"]
            assert media["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert all(case["value"]["status"] == code for case in media["examples"].values())


def test_bodies_come_as_json_or_form_with_examples(document: dict[str, Any]) -> None:
    for key in BODIES:
        content = operations(document)[key]["requestBody"]["content"]
        assert set(content) == {"multipart/form-data", "application/json"}
        assert content["application/json"]["example"]


def test_every_good_answer_has_an_example_that_it_could_give(document: dict[str, Any]) -> None:
    answers: dict[str, type[BaseModel]] = {
        "segment": SegmentAnswer,
        "segmentVolume": VolumeAnswer,
        "getVolume": VolumeAnswer,
        "getVolumeFrames": FramesAnswer,
        "cancelVolume": VolumeAnswer,
        "agentSegment": RunAnswer,
        "uploadImage": ImageOut,
        "getImage": ImageOut,
        "getRun": RunAnswer,
        "cancelRun": RunningAnswer,
        "getThread": ThreadAnswer,
        "getCapabilities": CapabilitiesAnswer,
        "getLive": LiveAnswer,
        "getReady": ReadyAnswer,
    }
    for operation in operations(document).values():
        good = next(
            operation["responses"][code]
            for code in ("200", "201", "202", "204")
            if code in operation["responses"]
        )
        if "application/json" in good.get("content", {}):
            model = answers.pop(operation["operationId"])
            example = good["content"]["application/json"]["example"]
            assert json.loads(model.model_validate(example).model_dump_json()) == example
    assert answers == {}


def test_the_examples_of_bodies_are_valid(document: dict[str, Any]) -> None:
    models: tuple[type[BaseModel], ...] = (SegmentBody, VolumeBody, AgentBody, ImageBody)
    for key, model in zip(BODIES, models, strict=True):
        content = operations(document)[key]["requestBody"]["content"]
        model.model_validate_json(json.dumps(content["application/json"]["example"]))
        if model is VolumeBody:
            model.model_validate(content["multipart/form-data"]["example"])


def test_every_reference_leads_somewhere(document: dict[str, Any], text: str) -> None:
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert names <= set(document["components"]["schemas"])


def test_what_is_sent_is_closed(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in ("SegmentBody", "AgentBody", "PromptIn", "MaskOut", "RunAnswer"):
        assert schemas[name]["additionalProperties"] is False


def test_keys_are_declared_where_they_are_needed(document: dict[str, Any]) -> None:
    for key, operation in operations(document).items():
        assert ("security" in operation) is not key[1].startswith("/health")


def test_the_document_says_what_this_is_not(document: dict[str, Any]) -> None:
    assert "not a medical device" in document["info"]["description"]


def test_the_version_is_the_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION
