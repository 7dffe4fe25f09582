"""What the OpenAPI document says of volumes: the body, its examples, the label map."""

from typing import Any

from api.http.openapi.document import SCHEMAS
from api.http.openapi.volume_examples import VOLUME_FORM, VOLUME_JSON
from api.schemas.volume_requests import VolumeBody

FORM_FIELDS: dict[str, Any] = {
    "files": {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "description": "one file, the files of one DICOM series, or a zip of them",
    },
    "box": {"type": "string", "description": "x0,y0,x1,y1", "examples": ["120,80,160,120"]},
    "window": {"type": "string", "description": "center,width", "examples": ["40,400"]},
}


def nifti_response() -> dict[int | str, dict[str, Any]]:
    """Declare a label map."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"description": "A label map", "content": {"application/gzip": binary}}}


def _form() -> dict[str, Any]:
    """Describe the multipart form that stands for a JSON body."""
    schema = VolumeBody.model_json_schema(ref_template=SCHEMAS + "{model}")
    fields = {**schema["properties"], **FORM_FIELDS}
    return {"type": "object", "properties": fields, "additionalProperties": False}


VOLUME_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _form(), "example": VOLUME_FORM},
            "application/json": {
                "schema": {"$ref": SCHEMAS + VolumeBody.__name__},
                "example": VOLUME_JSON,
            },
        },
    }
}
