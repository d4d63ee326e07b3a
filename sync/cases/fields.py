"""The fields of the eight collections: who owns each, how it is kept, how two versions of it are merged.

One row a field. What stands here is read by validation, merge, projection, sealing and the published schema alike.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from sync.cases import shapes as s
from sync.cases.shapes import one_of, rows, text

COLLECTIONS: Final = ("cases", "entries", "visits", "households", "tasks", "files", "notices", "cells")

OWNERS: Final = ("phone", "server")
SEALS: Final = ("clear", "personal", "above_normal", "by_class", "secret")


class Field(Struct, frozen=True):
    """One field of a collection.

    owner: `phone` (may be pushed) or `server` (ignored when pushed).
    seal: `clear`; `personal` always sealed; `above_normal` sealed while the case is above `normal`; `by_class` sealed
        for entries of class c and s, and for all of a case above `normal`; `secret` sealed and never sent by sync.
    merge: name of a rule of `merge_rules.py`; `server` for what the phone does not write.
    required: without it a row cannot be understood (`kind`, `type`, …) or is incomplete (`captured_at`).
    shape: the type its value must convert to; `Any` for what the server writes itself.
    table: the open table of the catalogue a code, or each code of a list, is looked up in.
    since: the version of what travels that brought it (`sync/versions.py`).
    """

    name: str
    owner: str
    seal: str
    merge: str
    required: bool
    shape: Any
    table: str | None = None
    since: int = 1


def _phone(
    name: str,
    shape: Any,
    merge: str = "later",
    seal: str = "clear",
    *,
    required: bool = False,
    table: str | None = None,
    since: int = 1,
) -> Field:
    return Field(name, "phone", seal, merge, required, shape, table, since)


def _server(*names: str, seal: str = "clear") -> tuple[Field, ...]:
    return tuple(Field(name, "server", seal, "server", required=False, shape=Any) for name in names)


_ID: Final = _phone("id", s.Id, "envelope", required=True)
# `author` and `device` are set from the session; a differing claim is kept as an issue by the door.
_WRITTEN: Final = (
    _phone("author", text(64), "envelope"),
    _phone("device", text(64), "envelope"),
    _phone("w", text(100), "envelope"),
)
# CL2: when it was by the server's clock; what the phone says stays beside it.
_TIMED: Final = _server("captured_est", "captured_err", "clock_flag")
_KEPT: Final = _server("v", "gone", "issues", "received_at")

CASES: Final = (
    _ID,
    _phone("kind", one_of("kinds"), required=True),
    _phone("category", s.Code, table="categories"),
    _phone("title", text(200), "text", "above_normal"),
    _phone("description", text(4000), "text", "above_normal"),
    _phone("language_of_record", text(40)),
    _phone("address", text(300), "text", "above_normal"),
    _phone("household_id", s.Id),
    _phone("location", s.Location, "location"),
    _phone("also_cells", rows(s.CellCode, 20), "set"),
    _phone("parties", rows(s.Party, 100), "parties", "personal"),
    _phone("people_count", s.Count),
    _phone("signals", rows(s.Code, 40), "set", table="signals"),
    _phone("urgency", one_of("urgencies"), "urgency"),
    _phone("protection", one_of("protections"), "raise_only"),
    _phone("source", s.Code, table="sources"),
    _phone("channel", s.Code, table="channels"),
    _phone("source_ref", text(100)),
    _phone("source_due", s.Time),
    _phone("is_anonymous", bool, "raise_true"),
    _phone("involves_staff", bool, "raise_true"),
    _phone("prior_channels", rows(s.PriorChannel, 20), "union"),
    _phone("wishes", text(2000), "text", "above_normal"),
    _phone("on_spot", s.OnSpot, seal="above_normal"),
    _phone("recorded_for", text(64)),
    _phone("captured_at", s.Time, "first", required=True),
    _phone("phone_clock", s.PhoneClock, "first"),
    *_WRITTEN,
    *_TIMED,
    *_server(
        "code",
        "status",
        "cell",
        "cell_generation",
        "assignment",
        "triaged_at",
        "admitted_at",
        "resolved_at",
        "closed_at",
        "basis",
        "complexity",
        "risk",
        "recused",
        "handler",
        "level",
        "supervision",
        "sponsor",
        "collective",
        "people_band",
        "category_group",
        "court",
        "confirmation",
        "master_case",
        "related",
        "outcome",
        "due",
        "reopened_count",
        "carried_over",
        "parties_masked",
        "source_reply",
    ),
    *_KEPT,
    *_server("track", "query_code", seal="secret"),
)

ENTRIES: Final = (
    _ID,
    _phone("case_id", s.Id, "first", required=True),
    _phone("type", one_of("entry_types"), "first", required=True),
    _phone("at", s.Time, "first"),
    _phone("body", s.Body, "first", "by_class"),
    _phone("files", rows(s.Id, 50), "first"),
    _phone("phone_clock", s.PhoneClock, "first"),
    *_WRITTEN,
    *_TIMED,
    *_server("class", "cell", "parent_missing", "moved_from"),
    *_KEPT,
)

VISITS: Final = (
    _ID,
    _phone("subject_kind", one_of("visit_subjects"), required=True),
    _phone("household_id", s.Id),
    _phone("place_text", text(300), "text"),
    _phone("at", s.Time, required=True),
    _phone("purpose", s.Code, table="visit_purposes"),
    _phone("outcome", s.Code, table="visit_outcomes"),
    _phone("channel", one_of("visit_channels")),
    _phone("persons_met", s.PersonsMet),
    _phone("companions", text(500) | rows(text(100), 20), "later", "personal"),
    _phone("team", text(100) | rows(text(100), 20)),
    _phone("topics", text(1000) | rows(text(100), 30)),
    _phone("needs", rows(s.Need, 50), "union"),
    _phone("promises", rows(s.Promise, 50), "union"),
    _phone("answers", rows(s.Answer, 50), "union"),
    _phone("notes", text(4000), "text", "personal"),
    _phone("case_ids", rows(s.Id, 50), "set"),
    _phone("next_on", s.Day),
    _phone("captured_at", s.Time, "first"),
    *_WRITTEN,
    *_server("cell", "linked_visits"),
    *_KEPT,
)

HOUSEHOLDS: Final = (
    _ID,
    _phone("preferred", text(500), "text"),
    _phone("care_note", text(1000), "text", "personal"),
    _phone("dwelling", one_of("dwellings")),
    _phone("persons_count", s.Count),
    _phone("no_visits", bool),
    *_WRITTEN,
    *_server(
        "cell",
        "compound",
        "building",
        "unit_no",
        "floor",
        "room",
        "address_text",
        "compound_kind",
        "property_service",
        "care",
        "language",
        "consent",
        "contact_person_id",
        "representative_id",
        "next_due",
        "last_met",
    ),
    *_server("contact_name", "contact_phone", "emergency_contact", seal="personal"),
    *_KEPT,
)

TASKS: Final = (
    Field("id", "server", "clear", "server", required=True, shape=s.Id),
    Field("type", "server", "clear", "server", required=True, shape=one_of("task_types")),
    *_server(
        "cell",
        "role",
        "user",
        "case_id",
        "household_id",
        "due",
        "window",
        "opened_at",
        "closed_at",
        "closed_by_entry",
        "text",
    ),
    *_KEPT,
)

FILES: Final = (
    _ID,
    _phone("owner_id", s.Id, "first", required=True),
    _phone("kind", one_of("file_kinds"), "first", required=True),
    _phone("sha256", s.Sha256, "first"),
    _phone("size", s.Fen, "first"),
    _phone("mime", text(100), "first"),
    _phone("taken_at", s.Time, "first"),
    _phone("caption", text(500), "text", "personal", since=2),
    _phone("transcript", text(20_000), "text", "personal"),
    _phone("transcript_state", one_of("transcript_states")),
    *_WRITTEN,
    # `reason`: why its bytes were refused; `seconds`: how long a recording is
    *_server("class", "keep_until", "state", "reason", "seconds", "cell"),
    *_KEPT,
)

NOTICES: Final = (
    Field("id", "server", "clear", "server", required=True, shape=s.Id),
    _phone("read_at", s.Time, "first"),
    *_server("user", "kind", "code", "at", "args"),
    *_server("words", seal="personal"),  # what a person wrote to its reader
    *_KEPT,
)

CELLS: Final = (
    Field("id", "server", "clear", "server", required=True, shape=s.CellCode),
    *_server(
        "name",
        "kind",
        "level",
        "parent",
        "bbox",
        "geometry",
        "generation",
        "valid_from",
        "valid_to",
        "v",
        "gone",
    ),
)

FIELDS: Final[Mapping[str, tuple[Field, ...]]] = {
    "cases": CASES,
    "entries": ENTRIES,
    "visits": VISITS,
    "households": HOUSEHOLDS,
    "tasks": TASKS,
    "files": FILES,
    "notices": NOTICES,
    "cells": CELLS,
}

BY_NAME: Final[Mapping[str, Mapping[str, Field]]] = {
    collection: {field.name: field for field in fields} for collection, fields in FIELDS.items()
}
PHONE_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    collection: frozenset(field.name for field in fields if field.owner == "phone")
    for collection, fields in FIELDS.items()
}
SECRET_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    collection: frozenset(field.name for field in fields if field.seal == "secret")
    for collection, fields in FIELDS.items()
}
PERSONAL_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    collection: frozenset(field.name for field in fields if field.seal == "personal")
    for collection, fields in FIELDS.items()
}


def sealed_names(collection: str, *, protection: str = "normal", entry_class: str = "o") -> frozenset[str]:
    """Fields to be stored sealed, for a case of this protection or an entry of this class."""
    seals = {"personal", "secret"}
    if protection != "normal":
        seals |= {"above_normal", "by_class"}
    if entry_class != "o":
        seals.add("by_class")
    return frozenset(field.name for field in FIELDS[collection] if field.seal in seals)
