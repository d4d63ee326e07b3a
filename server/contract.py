"""What others rely on, as files: OpenAPI, the schemas of documents, the words and rules, the codes of errors."""

from typing import Any

import msgspec

from server.app import create_app
from server.errors import all_codes
from server.settings import Settings
from sync import versions
from sync.cases import district, schema
from sync.values import Collection


def contract_files() -> dict[str, bytes]:
    """Every file by its name; the same program writes the same bytes."""
    app = create_app(Settings(purpose="test"), jobs=[])
    files = {
        "openapi.json": _pretty(app.openapi_schema.to_schema()),
        "errors.json": _pretty(msgspec.to_builtins(all_codes())),
        "catalogue.json": _pretty(district.catalogue_json()),
    }
    for item in Collection:
        files[f"schema/{item.name}.json"] = _pretty(schema.json_schema(item.name, versions.UNTOLD))
        for version in versions.VERSIONS:
            name = f"schema/{version.number}/{item.name}.json"
            files[name] = _pretty(schema.json_schema(item.name, version.number))
    return files


def _pretty(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2) + b"\n"
