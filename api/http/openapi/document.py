"""The OpenAPI document: error responses, request bodies, examples, and its export."""

import json
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from api import DISCLAIMER, VERSION
from api.http.problems import MEDIA_TYPE, Problem
from api.problem_kinds import FRAMEWORK_KINDS, INTERNAL, KINDS, TYPE_PREFIX, Kind
from api.schemas.requests import AgentBody, Body, ImageBody, SegmentBody
from api.schemas.volume_requests import VolumeBody

TITLE = "MedSAM-3 Agent"
DESCRIPTION = (
    "Segments medical images from plain clinical words. Research software, "
    f"{DISCLAIMER}: every result is for review by a qualified person."
)
SCHEMAS = "#/components/schemas/"
EXPORTED = Path(__file__).parents[2] / "openapi.json"
BODIES: tuple[type[Body], ...] = (SegmentBody, AgentBody, ImageBody, VolumeBody)
EXAMPLES = Path(__file__).parent / "examples" / "answers"
RECORDING = "application/vnd.medsam3.recording+json"
EVENT_STREAM = "text/event-stream"
# The job's id, what it counts, and small facts; the last event also says how it ended.
EVENT_DATA = {
    "contentMediaType": "application/json",
    "contentSchema": {
        "type": "object",
        "properties": {
            "run_id": {"type": "string"},
            "round": {"type": "integer"},
            "volume_id": {"type": "string"},
            "frames_done": {"type": "integer"},
            "status": {"type": "string"},
            "message": {"type": "string"},
            "error": {"type": "string"},
        },
        "additionalProperties": {"type": ["string", "number"]},
    },
}
GOOD_CODES = ("200", "201", "202")


def problems(*statuses: int, keyed: bool = True) -> dict[int | str, dict[str, Any]]:
    """Declare error responses with every problem of their status; `keyed`: a key is needed."""
    every = {*statuses, 403, 500} | ({401} if keyed else set())
    return {status: _problem_response(status) for status in sorted(every)}


def file_response(media_type: str, description: str) -> dict[int | str, dict[str, Any]]:
    """Declare a file, such as a picture or a label map."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"description": description, "content": {media_type: binary}}}


def png_response() -> dict[int | str, dict[str, Any]]:
    """Declare a picture."""
    return file_response("image/png", "A picture")


def recording_response() -> dict[int | str, dict[str, Any]]:
    """Declare the recording of a run; what is in its parts is for a replay alone."""
    part: dict[str, Any] = {"type": "object"}
    schema = {
        "type": "object",
        "properties": {"start": part, "lines": {"type": "array", "items": part}, "run": part},
        "required": ["start", "lines", "run"],
    }
    content = {RECORDING: {"schema": schema}}
    return {200: {"description": "A recording", "content": content}}


def describe(app: FastAPI) -> dict[str, Any]:
    """Build the document of an app."""
    document = get_openapi(
        title=TITLE,
        version=VERSION,
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[
            {"url": "/", "description": "as it is"},
            {"url": "/v1", "description": "the same routes under a version"},
        ],
        routes=app.routes,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    models: tuple[type[BaseModel], ...] = (Problem, *BODIES)
    for model in models:
        schemas.update(_components(model))
    _add_examples(document)
    _describe_events(document)
    return document


def export(app: FastAPI) -> str:
    """Write the document as the text that is kept in the repository."""
    return json.dumps(describe(app), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _add_examples(document: dict[str, Any]) -> None:
    # Not by the routes: FastAPI would drop what is null in them.
    for methods in document["paths"].values():
        for operation in methods.values():
            responses = operation["responses"]
            good = next((code for code in GOOD_CODES if code in responses), "")
            answer = responses.get(good, {}).get("content", {}).get("application/json")
            if answer is not None:
                answer["example"] = _answer_example(operation["operationId"], answer["schema"])


def _describe_events(document: dict[str, Any]) -> None:
    """Say what the data of an event are; FastAPI knows that they are a text."""
    for methods in document["paths"].values():
        for operation in methods.values():
            content = operation["responses"].get("200", {}).get("content", {})
            for media in (content[kind] for kind in content if kind == EVENT_STREAM):
                media["itemSchema"]["properties"]["data"] |= EVENT_DATA
                media["itemSchema"]["required"] = ["data", "event", "id"]


def _answer_example(operation_id: str, schema: dict[str, str]) -> dict[str, Any]:
    """Read the example that is named after an operation, or else after its answer's model."""
    model = schema["$ref"].removeprefix(SCHEMAS)
    paths = (EXAMPLES / f"{name}.json" for name in (operation_id, model))
    example: dict[str, Any] = json.loads(next(filter(Path.exists, paths)).read_text("utf-8"))
    return example


def _components(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template=SCHEMAS + "{model}")
    return {**schema.pop("$defs", {}), model.__name__: schema}


def _problem_response(status: int) -> dict[str, Any]:
    known = [*KINDS.values(), *FRAMEWORK_KINDS.values(), INTERNAL]
    kinds = {kind.slug: kind for kind in known if kind.status == status}
    return {
        "description": " or ".join(kind.title for kind in kinds.values()),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": SCHEMAS + "Problem"},
                "examples": {slug: {"value": _example(kind)} for slug, kind in kinds.items()},
            }
        },
    }


def _example(kind: Kind) -> dict[str, Any]:
    fields = [{"field": "prompts[0].text", "message": "must not be blank"}]
    return {
        "type": TYPE_PREFIX + kind.slug,
        "title": kind.title,
        "status": kind.status,
        "detail": kind.detail or kind.title,
        "errors": fields if kind.slug == "invalid-field" else [],
    }
