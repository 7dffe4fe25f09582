"""Request bodies of the OpenAPI document: forms that stand for JSON bodies, with examples."""

from typing import Any

from api.schemas.requests import Body


def form_schema(body: type[Body], extra: dict[str, Any]) -> dict[str, Any]:
    """Describe the multipart form that stands for a JSON body; `extra`: what only it has."""
    schema = body.model_json_schema(ref_template="#/components/schemas/{model}")
    fields = {**schema["properties"], **extra}
    fields["image"] = {"type": "string", "format": "binary", "description": "the file"}
    for name in ("prompts", "edits"):
        if name in fields:
            fields[name] = {"type": "string", "description": f"JSON, as {name} in the JSON body"}
    return {"type": "object", "properties": fields, "additionalProperties": False}
