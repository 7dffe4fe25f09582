"""Request bodies of the OpenAPI document: JSON, or a form that stands for it, with examples."""

import json
from pathlib import Path
from typing import Any

from api.http.openapi.document import SCHEMAS
from api.schemas import rules
from api.schemas.requests import AgentBody, Body, ImageBody, SegmentBody
from api.schemas.volume_requests import VolumeBody
from segmenter.contract import MAX_PROMPTS, MAX_TEXT_CHARS
from segmenter.volumes.contract import MAX_FILES

EXAMPLES = Path(__file__).parent / "examples" / "bodies.json"
IMAGE = {"type": "string", "format": "binary", "description": "the file"}
CONCEPT = {
    "type": "array",
    "items": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_TEXT_CHARS,
        **rules.WORDS_ON_A_LINE,
    },
    "minItems": 1,
    "maxItems": MAX_PROMPTS,
    "description": "one prompt each",
}
NUMBER = r"-?[0-9]{1,9}(\.[0-9]{1,9})?"
BOX = {
    "type": "string",
    "pattern": f"^{NUMBER}(,{NUMBER}){{3}}$",
    "description": "x0,y0,x1,y1",
    "examples": ["222,151,307,212"],
}
FILES = {
    "type": "array",
    "items": {"type": "string", "format": "binary"},
    "minItems": 1,
    "maxItems": MAX_FILES,
    "description": "one file, the files of one DICOM series, or a zip of them",
}
VOLUME_BOX = BOX | {"examples": ["120,80,160,120"]}
WINDOW = {
    "type": "string",
    "pattern": rf"^{NUMBER},0*[1-9][0-9]{{0,8}}(\.[0-9]{{1,9}})?$",
    "description": "center,width",
    "examples": ["40,400"],
}


def body_of(
    model: type[Body], form_rule: rules.Schema, **only_in_form: dict[str, Any]
) -> dict[str, Any]:
    """Declare a body that comes as JSON or as a form, in which nothing is null."""
    examples = json.loads(EXAMPLES.read_text(encoding="utf-8"))[model.__name__]
    fields = _form_fields(model) | only_in_form
    schema = {"type": "object", "properties": fields, "additionalProperties": False, **form_rule}
    form = {"schema": schema, "example": examples["form"]}
    body = {"schema": {"$ref": SCHEMAS + model.__name__}, "example": examples["json"]}
    content = {"multipart/form-data": form, "application/json": body}
    return {"requestBody": {"required": True, "content": content}}


def _form_fields(model: type[Body]) -> dict[str, Any]:
    """Describe the fields of the multipart form that stands for a JSON body."""
    schema = model.model_json_schema(ref_template=SCHEMAS + "{model}")
    fields = {name: _without_null(field) for name, field in schema["properties"].items()}
    for name in ("prompts", "edits"):
        if name in fields:
            fields[name] = {
                "type": "string",
                "contentMediaType": "application/json",
                "description": f"JSON, as {name} in the JSON body",
            }
    if "image" in fields:
        fields["image"] = IMAGE
    return fields


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """Take null out of what a field may be."""
    others = [kind for kind in field.get("anyOf", []) if kind != rules.NULL]
    kept = {name: field[name] for name in field if name not in ("anyOf", "default")}
    if "default" in field and field["default"] is not None:
        kept["default"] = field["default"]
    if len(others) == 1:
        return {**others[0], **kept}
    return kept | ({"anyOf": others} if others else {})


def _needs(*names: str) -> rules.Schema:
    return {"required": [*names]}


IMAGE_RULE = _needs("image")
SEGMENT_RULE = rules.both(
    {"oneOf": [_needs("image"), _needs("image_id")]},
    {"oneOf": [_needs("prompts"), rules.either(_needs("concept"), _needs("box"))]},
)
AGENT_RULE = rules.both(
    rules.either(_needs("image"), _needs("image_id"), _needs("thread_id")),
    rules.either(_needs("request"), _needs("thread_id", "edits")),
)
VOLUME_RULE = {"dependentRequired": {"box": ["frame"], "frame": ["box"]}} | rules.both(
    {"oneOf": [_needs("files"), _needs("volume_id")]},
    rules.either(_needs("prompt"), _needs("box")),
)
SEGMENT_BODY = body_of(SegmentBody, SEGMENT_RULE, concept=CONCEPT, box=BOX)
AGENT_BODY = body_of(AgentBody, AGENT_RULE, box=BOX)
IMAGE_BODY = body_of(ImageBody, IMAGE_RULE)
VOLUME_BODY = body_of(VolumeBody, VOLUME_RULE, files=FILES, box=VOLUME_BOX, window=WINDOW)
