"""Request bodies of the OpenAPI document: JSON, or a form that stands for it, with examples."""

import json
from pathlib import Path
from typing import Any

from api.http.openapi.document import SCHEMAS
from api.schemas.requests import AgentBody, Body, ImageBody, SegmentBody
from api.schemas.volume_requests import VolumeBody

EXAMPLES = Path(__file__).parent / "examples" / "bodies.json"
IMAGE = {"type": "string", "format": "binary", "description": "the file"}
CONCEPT = {"type": "array", "items": {"type": "string"}, "description": "one prompt each"}
BOX = {"type": "string", "description": "x0,y0,x1,y1", "examples": ["222,151,307,212"]}
FILES = {
    "type": "array",
    "items": {"type": "string", "format": "binary"},
    "description": "one file, the files of one DICOM series, or a zip of them",
}
VOLUME_BOX = BOX | {"examples": ["120,80,160,120"]}
WINDOW = {"type": "string", "description": "center,width", "examples": ["40,400"]}


def body_of(model: type[Body], **only_in_form: dict[str, Any]) -> dict[str, Any]:
    """Declare a body that comes as JSON or as a form."""
    examples = json.loads(EXAMPLES.read_text(encoding="utf-8"))[model.__name__]
    form = {"schema": _form_schema(model, only_in_form), "example": examples["form"]}
    body = {"schema": {"$ref": SCHEMAS + model.__name__}, "example": examples["json"]}
    content = {"multipart/form-data": form, "application/json": body}
    return {"requestBody": {"required": True, "content": content}}


def _form_schema(model: type[Body], only_in_form: dict[str, Any]) -> dict[str, Any]:
    """Describe the multipart form that stands for a JSON body."""
    schema = model.model_json_schema(ref_template=SCHEMAS + "{model}")
    fields = {**schema["properties"], **only_in_form}
    for name in ("prompts", "edits"):
        if name in fields:
            fields[name] = {"type": "string", "description": f"JSON, as {name} in the JSON body"}
    if "image" in fields:
        fields["image"] = IMAGE
    return {"type": "object", "properties": fields, "additionalProperties": False}


SEGMENT_BODY = body_of(SegmentBody, concept=CONCEPT, box=BOX)
AGENT_BODY = body_of(AgentBody, box=BOX)
IMAGE_BODY = body_of(ImageBody)
VOLUME_BODY = body_of(VolumeBody, files=FILES, box=VOLUME_BOX, window=WINDOW)
