"""The versions of what travels, and the way between them (EV1–EV6 of ``PROTOCOL.md``).

A version only ever adds fields; each field says which one brought it (``Field.since``). So the casters are masks: what
leaves for an older client is left out, and what an older client sends says nothing about fields it cannot know. Fields
inside a value, and codes of a closed table, are as old as the field: a change of these is a new field.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from msgspec import Struct

from sync import content
from sync.cases.fields import FIELDS
from sync.errors import BadRequest, SyncError

LAST: Final = 1_000_000  # a number above it is no version


class Version(Struct, frozen=True):
    """One released shape of what travels; `brought` names what is new in it, for makers of clients."""

    number: int
    brought: str


VERSIONS: Final = (
    Version(1, "the shape of the first release"),
    Version(2, "files.caption: what a picture shows, in its author's words"),
)
OLDEST: Final = VERSIONS[0].number
CURRENT: Final = VERSIONS[-1].number
UNTOLD: Final = 1
"""What a client speaks that tells no version; it stays this for as long as it can be read."""


class SchemaTooOld(SyncError):
    """This version of the app can no longer be read; what it sent was kept. Update it."""

    code = "schema_too_old"
    status = 426


class BadSchema(BadRequest):
    """A version is told by one whole number."""

    code = "bad_schema"


def read_told(values: list[str]) -> int | None:
    """The version that the headers of a request tell; None: none. Raises ``BadSchema``."""
    if not values:
        return None
    text = values[0]
    if len(values) > 1 or not (text.isascii() and text.isdigit() and len(text) < len(str(LAST))):
        raise BadSchema
    return int(text)


def spoken(told: int | None) -> int:
    """EV1: the version to speak with a client that tells this: of one newer than the server, the server's."""
    return UNTOLD if told is None else min(told, CURRENT)


def require_readable(told: int | None) -> None:
    """EV6. Raises ``SchemaTooOld``."""
    if spoken(told) < OLDEST:
        raise SchemaTooOld(oldest=OLDEST, current=CURRENT)


def added(collection: int, after: int, upto: int = CURRENT) -> frozenset[str]:
    """The fields of a collection that came with the versions in ``(after, upto]``, whatever a client says they are."""
    return _added(collection, min(max(after, 0), CURRENT), min(max(upto, 0), CURRENT))


@cache
def _added(collection: int, after: int, upto: int) -> frozenset[str]:
    fields = FIELDS[content.NAMES[collection]]
    return frozenset(field.name for field in fields if after < field.since <= upto)


def lowered(collection: int, values: Mapping[str, Any], version: int) -> dict[str, Any]:
    """EV2: a document as a client of this version knows it."""
    newer = added(collection, version)
    return {name: value for name, value in values.items() if name not in newer}


def raised(collection: int, doc: dict[str, Any], version: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """EV3: what a client of this version says, and what it cannot have known and says all the same.

    An empty value of a field it does not know is no statement and is left out of both.
    """
    newer = added(collection, version) & doc.keys()
    if not newer:
        return doc, {}
    known = {name: value for name, value in doc.items() if name not in newer}
    return known, {name: doc[name] for name in newer if doc[name] is not None}
