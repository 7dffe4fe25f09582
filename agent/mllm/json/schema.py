"""Portable JSON schemas, made of pydantic models. Pure.

Portable means what every provider's structured output takes: flat, no ``$ref``, no defaults, every
property required, null by type. Limits are not in the schemas, and answers are not checked against
them: what models write differs from them in ways that are understood (`agent.planners.reading`).
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

Schema = Mapping[str, object]
_PORTABLE = ("type", "enum", "items", "anyOf")


def to_schema(model: type[BaseModel], names: Mapping[str, str]) -> dict[str, object]:
    """Return the portable schema of a model whose fields may have other `names` on the wire."""
    whole = model.model_json_schema()
    schema: dict[str, object] = _portable(whole, whole.get("$defs", {}), names)
    return schema


def _portable(part: Any, models: Mapping[str, Any], names: Mapping[str, str]) -> Any:
    if isinstance(part, list):
        return [_portable(inner, models, names) for inner in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _portable(models[part["$ref"].rsplit("/", 1)[1]], models, names)
    kept = {key: _portable(part[key], models, names) for key in _PORTABLE if key in part}
    if "properties" in part:
        fields = {
            names.get(name, name): _portable(inner, models, names)
            for name, inner in part["properties"].items()
        }
        kept |= {"properties": fields, "required": list(fields), "additionalProperties": False}
    return kept


def field_names(schema: object) -> frozenset[str]:
    """Return the names of all fields of a schema, at any depth."""
    if isinstance(schema, list):
        return frozenset[str]().union(*map(field_names, schema))
    if not isinstance(schema, dict):
        return frozenset()
    own = schema.get("properties")
    inner = field_names(list(schema.values()))
    return inner | frozenset(own) if isinstance(own, dict) else inner
