"""Portable JSON schemas: made of pydantic models, and a small check of values against them. Pure.

Portable means what every provider's structured output takes: flat, no ``$ref``, no defaults, every
property required, null by type. Limits are not in the schemas: the models have them.

Not checked by jsonschema: it takes 1.0 for an integer, its messages repeat what the model wrote,
and lists of which one sound item is enough would need a second schema.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

Schema = Mapping[str, object]
_PORTABLE = ("type", "enum", "items", "anyOf")

_TYPES: Mapping[str, Callable[[object], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


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


def find_fault(value: object, schema: Schema, where: str = "the answer") -> str | None:
    """Say in plain words what is wrong with a value, None if nothing is.

    Names come from the schema only, so the sentence never repeats what a model wrote. A list is
    at fault only if none of its items is sound: single bad items are dropped later.
    """
    names = type_names(schema)
    if not any(_TYPES[name](value) for name in names):
        return f"{where} must be of type {' or '.join(names)}"
    allowed = schema.get("enum")
    if isinstance(allowed, list) and value not in allowed:
        return f"{where} must be one of {', '.join(map(str, allowed))}"
    if isinstance(value, dict):
        return _object_fault(value, schema, where)
    if isinstance(value, list):
        return _list_fault(value, schema, where)
    return None


def type_names(schema: Schema) -> list[str]:
    """Return the JSON types a schema allows."""
    choices = schema.get("anyOf")
    if isinstance(choices, list):
        return [name for choice in choices for name in type_names(choice)]
    named = schema["type"]
    return [str(name) for name in named] if isinstance(named, list) else [str(named)]


def properties(schema: Schema) -> Mapping[str, Schema]:
    """Return the properties of an object schema."""
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}


def _object_fault(value: Mapping[str, object], schema: Schema, where: str) -> str | None:
    for name, inner in properties(schema).items():
        if name not in value and "null" not in type_names(inner):
            return f"{where} lacks {name!r}"
        fault = find_fault(value.get(name), inner, repr(name))
        if fault is not None:
            return fault
    return None


def _list_fault(value: list[object], schema: Schema, where: str) -> str | None:
    items = _items(schema)
    if items is None or not value:
        return None
    faults = [find_fault(item, items, f"an item of {where}") for item in value]
    return None if None in faults else faults[0]


def _items(schema: Schema) -> Schema | None:
    choices = schema.get("anyOf")
    if isinstance(choices, list):
        return next((found for choice in choices if (found := _items(choice)) is not None), None)
    items = schema.get("items")
    return items if isinstance(items, dict) else None
