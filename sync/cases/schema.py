"""The published JSON Schema of a collection (draft 2020-12), made from the table of fields.

It describes what travels, so every projection, a tombstone and a capture made without network all fit it: hence only
what each of these has is required. It is flat (no `$ref`, a nullable value is a list of types), because that is what
a replicating database on a phone takes as its own schema.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from sync.cases import shapes
from sync.cases.catalogue import codes
from sync.cases.fields import FIELDS, SECRET_FIELDS

_TEXT: Final = {"type": ["string", "null"]}
_INTEGER: Final = {"type": ["integer", "null"]}
_OBJECT: Final = {"type": ["object", "null"]}
_LIST: Final = {"type": ["array", "null"]}
_NUMBERS: Final = frozenset({
    "v", "level", "cell_generation", "reopened_count", "generation", "at", "due", "from", "size", "keep_until",
    "valid_from", "valid_to", "next_due", "last_met", "captured_est", "captured_err",
})  # fmt: skip
_OBJECTS: Final = frozenset({"assignment", "risk", "handler", "sponsor", "geometry", "args", "consent"})
_LISTS: Final = frozenset({
    "recused", "related", "issues", "parties_masked", "bbox", "care", "linked_visits",
})  # fmt: skip
_FLAGS: Final = frozenset({"collective", "carried_over", "parent_missing", "gone"})
_TABLES: Final[Mapping[tuple[str, str], str]] = {
    ("cases", "status"): "statuses",
    ("cases", "supervision"): "supervisions",
    ("cases", "complexity"): "complexities",
    ("cases", "basis"): "bases",
    ("cases", "court"): "courts",
    ("cases", "confirmation"): "confirmations",
    ("cases", "clock_flag"): "clock_flags",
    ("entries", "clock_flag"): "clock_flags",
}
# Fields present in every row that travels, tombstones included.
_ALWAYS: Final[Mapping[str, tuple[str, ...]]] = {
    "cases": ("id",),
    "entries": ("id", "case_id", "type"),
    "visits": ("id",),
    "households": ("id",),
    "tasks": ("id", "type"),
    "files": ("id", "owner_id", "kind"),
    "notices": ("id",),
    "cells": ("id",),
}


def _server_schema(collection: str, name: str) -> dict[str, Any]:
    table = _TABLES.get((collection, name))
    if table is not None:
        return {"type": ["string", "null"], "enum": [*codes(table), None]}
    if (collection, name) == ("cases", "due"):
        return dict(_LIST)
    if name in _NUMBERS or name.endswith("_at") or (name == "level" and collection == "cells"):
        return dict(_INTEGER)
    if name in _OBJECTS:
        return dict(_OBJECT)
    if name in _LISTS:
        return dict(_LIST)
    if name in _FLAGS:
        return {"type": ["boolean", "null"]}
    return {} if name in {"window", "consent"} else dict(_TEXT)


def _flat(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """The schema without references, and with `anyOf [.., null]` of one type written as a list of types."""
    if isinstance(schema, list):
        return [_flat(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _flat(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    flat = {
        name: _flat(part, definitions) for name, part in schema.items() if name not in {"title", "default"}
    }
    parts = flat.get("anyOf")
    if isinstance(parts, list):
        others = [part for part in parts if part != {"type": "null"}]
        if len(others) == 1 and len(parts) == 2:
            return {**{k: v for k, v in flat.items() if k != "anyOf"}, **_nullable(others[0])}
    return flat


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if "enum" in schema:
        kind = "integer" if all(isinstance(code, int) for code in schema["enum"]) else "string"
        return {**schema, "type": [kind, "null"], "enum": [*schema["enum"], None]}
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return (
        {"anyOf": [schema, {"type": "null"}]}
        if "anyOf" not in schema
        else {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    )


def json_schema(collection: str, version: int | None = None) -> dict[str, Any]:
    """The schema of one collection's documents as they travel; secret fields are not in it.

    `version` leaves out what came later; None is the newest.
    """
    always = _ALWAYS[collection]
    properties: dict[str, Any] = {}
    for field in FIELDS[collection]:
        if field.name in SECRET_FIELDS[collection] or (version is not None and field.since > version):
            continue
        if field.shape is Any:
            properties[field.name] = _server_schema(collection, field.name)
            continue
        shape = field.shape if field.name in always else field.shape | None
        (schema,), definitions = msgspec.json.schema_components([shape], ref_template="#/$defs/{name}")
        properties[field.name] = _flat(schema, definitions)
    for name in always:
        properties[name].setdefault("type", "string")
    if collection == "cases":
        without_secret = properties["parties"]["items"]["properties"]
        for name in shapes.PARTY_SECRET:
            without_secret[name]["writeOnly"] = True
    properties["_deleted"] = {"type": "boolean"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": collection,
        "version": 0,
        "primaryKey": "id",
        "type": "object",
        "properties": properties,
        "required": list(always),
        "additionalProperties": False,
    }
