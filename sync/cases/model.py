"""Documents of the eight collections: what of a pushed document is kept.

Nothing captured is refused as a whole while its identity and its kind can be understood: valid fields are kept, the
others are handed back for the quarantine with an issue each. The fast path is one conversion by msgspec; only a
document with a fault is looked at field by field.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from sync.cases import shapes
from sync.cases.catalogue import TABLES
from sync.cases.fields import BY_NAME, COLLECTIONS, FIELDS, PHONE_FIELDS, Field
from sync.cases.projection import (
    category_group,
    display_title,
    mask_parties,
    neutral,
    project,
    strip_secret,
)
from sync.cases.schema import json_schema

__all__ = [
    "COLLECTIONS",
    "FIELDS",
    "Checked",
    "Issue",
    "category_group",
    "checked",
    "display_title",
    "json_schema",
    "mask_parties",
    "neutral",
    "project",
    "strip_secret",
]

# All districts of the country keep one civil time.
CIVIL: Final = timezone(timedelta(hours=8))
_HALF_DAY_MS: Final = 12 * 3_600_000
_CIVIL_OFFSET_MS: Final = 8 * 3_600_000
_DAY_MS: Final = 24 * 3_600_000
_OWN_CODE: Final = re.compile("x_[A-Za-z0-9_]+")
_UUID: Final = re.compile(shapes.UUID_PATTERN)


class Issue(Struct, frozen=True):
    """What is wrong with a field of a pushed document, for the phone to show."""

    field: str
    code: str
    message: str


class Checked(Struct, frozen=True):
    """A pushed document, sorted.

    values: valid phone-owned fields; absent means unknown, an explicit null is kept.
    issues: one for each refused value, and for required fields that are missing.
    rest: refused and unknown values, for the quarantine.
    partial: lists of which some elements were refused: an element that is missing there was not taken out.
    usable: False if id or kind cannot be understood; then `reason` says why (`id_missing`, `id_shape`,
        `kind_missing`, `kind_unknown`, …) and `rest` is the whole document.
    """

    values: dict[str, Any]
    issues: list[Issue]
    rest: dict[str, Any]
    usable: bool
    reason: str | None
    partial: frozenset[str] = frozenset()


# The field that says what a document is; a row without it is no document.
_IDENTIFYING: Final[Mapping[str, tuple[str, ...]]] = {
    "cases": ("id", "kind"),
    "entries": ("id", "case_id", "type"),
    "visits": ("id",),
    "files": ("id", "owner_id", "kind"),
    "households": ("id",),
    "tasks": ("id",),
    "notices": ("id",),
    "cells": ("id",),
}

_WIRE_MARKS: Final = ("_deleted", "_rev", "_meta", "_attachments")
"""Written by the replicating database, not by a person: neither kept nor an issue."""


def _quick(shape: Any) -> Any:
    """A shape without its pattern, where `checked` asks for that itself: msgspec goes through Python for each."""
    if shape is shapes.Id or shape is shapes.Code:
        return Annotated[str, Meta(min_length=1, max_length=64)]
    return shape


def _pushed_shape(collection: str) -> Any:
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for field in FIELDS[collection]:
        if field.name in {"id", *_IDENTIFYING[collection]} or (field.required and field.owner == "phone"):
            quick = field.name == "id" and collection != "cells"
            fields.append((field.name, _quick(field.shape) if quick else field.shape))
        elif field.owner == "phone" and field.table is not None:
            fields.append((field.name, _quick(field.shape) | None | UnsetType, UNSET))
        else:
            shape = field.shape if field.owner == "phone" else Any
            fields.append((field.name, shape | None | UnsetType if shape is not Any else Any, UNSET))
    names = {"class": "class_"}
    return msgspec.defstruct(
        f"Pushed_{collection}",
        [(names.get(f[0], f[0]), *f[1:]) for f in fields]
        + [(mark.replace("_", "wire_", 1), Any, UNSET) for mark in _WIRE_MARKS],
        rename={"class_": "class", **{mark.replace("_", "wire_", 1): mark for mark in _WIRE_MARKS}},
        kw_only=True,
        forbid_unknown_fields=True,
        gc=False,
    )


_PUSHED: Final[Mapping[str, Any]] = {collection: _pushed_shape(collection) for collection in COLLECTIONS}
_LOOKUPS: Final[Mapping[str, tuple[tuple[str, Mapping[str, Any]], ...]]] = {
    collection: tuple((f.name, TABLES[f.table]) for f in fields if f.table)
    for collection, fields in FIELDS.items()
}
_TIMES: Final[Mapping[str, tuple[str, ...]]] = {
    collection: tuple(f.name for f in fields if f.owner == "phone" and f.shape is shapes.Time)
    for collection, fields in FIELDS.items()
}
_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    collection: tuple(f.name for f in fields if f.required and f.owner == "phone")
    for collection, fields in FIELDS.items()
}


_MISFIT: Final = (msgspec.ValidationError, AttributeError, TypeError, ValueError, RecursionError)


def _own(code: str) -> bool:
    return _OWN_CODE.fullmatch(code) is not None


def _codes_known(collection: str, doc: Mapping[str, Any]) -> bool:
    for name, table in _LOOKUPS[collection]:
        value = doc.get(name)
        if value is None:
            continue
        if isinstance(value, list):
            if not all(code in table or _own(code) for code in value):
                return False
        elif value not in table and not _own(value):
            return False
    return True


def _visit_halved(values: dict[str, Any]) -> None:
    # A visit is dated by the half-day: a minute of arrival would be a check-in.
    at = values.get("at")
    if isinstance(at, int):
        values["at"] = (at + _CIVIL_OFFSET_MS) // _HALF_DAY_MS * _HALF_DAY_MS - _CIVIL_OFFSET_MS


def _party_ids_differ(doc: Mapping[str, Any]) -> bool:
    parties = doc.get("parties")
    return not parties or len({party["id"] for party in parties}) == len(parties)


def _with_instants(collection: str, doc: dict[str, Any]) -> dict[str, Any]:
    """The document with its times as instants where they came as text; itself where none did."""
    read: dict[str, Any] = {}
    for name in _TIMES[collection]:
        value = doc.get(name)
        if isinstance(value, str) and (instant := instant_of(value)) is not None:
            read[name] = instant
    return {**doc, **read} if read else doc


def checked(collection: str, doc: dict[str, Any]) -> Checked:
    """Sort a pushed document into what is kept and what is not; never raises for the content of a row.

    Server-owned fields are left out without an issue: a phone sends back the whole document it holds.
    """
    shape = _PUSHED[collection]
    try:
        msgspec.convert(doc, shape)
    except _MISFIT:
        try:
            doc = _with_instants(collection, doc)
            msgspec.convert(doc, shape)
        except _MISFIT:
            return _checked_field_by_field(collection, doc)
    if collection != "cells" and _UUID.fullmatch(doc["id"]) is None:
        return _checked_field_by_field(collection, doc)
    if not _codes_known(collection, doc) or (collection == "cases" and not _party_ids_differ(doc)):
        return _checked_field_by_field(collection, doc)
    phone = PHONE_FIELDS[collection]
    values = (
        dict(doc) if doc.keys() <= phone else {name: value for name, value in doc.items() if name in phone}
    )
    if collection == "visits":
        _visit_halved(values)
    return Checked(values, [], {}, usable=True, reason=None)


def _unusable_because(collection: str, doc: Mapping[str, Any]) -> str | None:
    for name in _IDENTIFYING[collection]:
        value = doc.get(name)
        if value is None:
            return f"{name}_missing"
        if not _fits(value, BY_NAME[collection][name].shape):
            return f"{name}_shape" if name.endswith("id") else f"{name}_unknown"
    return None


def _fits(value: Any, shape: Any) -> bool:
    try:
        msgspec.convert(value, shape)
    except (msgspec.ValidationError, TypeError, ValueError, RecursionError):
        return False
    return True


def _checked_field_by_field(collection: str, doc: Any) -> Checked:
    if not isinstance(doc, dict):
        return Checked({}, [], {"document": doc}, usable=False, reason="not_an_object")
    reason = _unusable_because(collection, doc)
    if reason is not None:
        return Checked({}, [], dict(doc), usable=False, reason=reason)
    values: dict[str, Any] = {}
    issues: list[Issue] = []
    rest: dict[str, Any] = {}
    by_name = BY_NAME[collection]
    for name, value in doc.items():
        field = by_name.get(name)
        if field is None:
            if name not in _WIRE_MARKS:
                # A newer app may know more than this server: kept aside, not held against the row.
                rest[name] = value
                issues.append(Issue(name, "unknown_field", "此字段本系统不识别,已另存"))
        elif field.owner == "phone":
            _check_field(field, value, values, issues, rest)
    issues.extend(
        Issue(name, "missing", "缺少必填内容") for name in _REQUIRED[collection] if doc.get(name) is None
    )
    if collection == "visits":
        _visit_halved(values)
    partial = frozenset(rest.keys() & values.keys() & _ELEMENTS.keys())
    return Checked(values, issues, rest, usable=True, reason=None, partial=partial)


def _check_field(
    field: Field, value: Any, values: dict[str, Any], issues: list[Issue], rest: dict[str, Any]
) -> None:
    if value is None:
        values[field.name] = None
        return
    if field.shape is shapes.Time and isinstance(value, str):
        instant = instant_of(value)
        if instant is not None:
            value = instant
    if isinstance(value, list) and field.name in _ELEMENTS:
        _check_elements(field, value, values, issues, rest)
        return
    if not _fits(value, field.shape):
        rest[field.name] = value
        issues.append(Issue(field.name, *_why(field, value)))
        return
    if field.table is not None:
        table = TABLES[field.table]
        if isinstance(value, list):
            unknown = [code for code in value if code not in table and not _own(code)]
            if unknown:
                rest[field.name] = unknown
                issues.append(Issue(field.name, "code_unknown", f"不认识的代码:{'、'.join(unknown)[:100]}"))
                value = [code for code in value if code not in unknown]
        elif value not in table and not _own(value):
            rest[field.name] = value
            issues.append(Issue(field.name, "code_unknown", f"不认识的代码:{value}"))
            return
    values[field.name] = value


def _why(field: Field, value: Any) -> tuple[str, str]:
    """Code and sentence of an issue."""
    if field.name == "location" and isinstance(value, dict) and value.get("crs") is None:
        return "crs_missing", "位置没有坐标系,不能定格"
    if isinstance(value, str | list) and len(value) > 1 and _fits(value[:1], field.shape):
        # Its beginning would do: what is wrong is the length, or a later element.
        return ("too_long", "内容过长") if isinstance(value, str) else ("value_invalid", "有一项不合要求")
    return "value_invalid", "内容不合要求"


# Lists of records: a faulty element must not take its neighbours with it.
_ELEMENTS: Final[Mapping[str, tuple[Any, Mapping[str, Any] | None]]] = {
    "parties": (shapes.Party, shapes.PARTY_FIELDS),
    "prior_channels": (shapes.PriorChannel, None),
    "needs": (shapes.Need, None),
    "promises": (shapes.Promise, None),
    "answers": (shapes.Answer, None),
}


def _check_elements(
    field: Field, value: list[Any], values: dict[str, Any], issues: list[Issue], rest: dict[str, Any]
) -> None:
    shape, party_fields = _ELEMENTS[field.name]
    limit = 100 if field.name == "parties" else 50
    kept: list[Any] = []
    refused: list[Any] = list(value[limit:])
    if refused:
        issues.append(Issue(field.name, "too_many", f"最多{limit}项"))
    seen: set[str] = set()
    for element in value[:limit]:
        if party_fields is not None:
            party, left = _checked_party(element, party_fields, seen)
            if party is not None:
                kept.append(party)
                seen.add(party["id"])
            if left:
                refused.append(left)
                issues.extend(
                    Issue(f"parties.{name}", "value_invalid", "内容不合要求") for name in left if name != "id"
                )
                if party is None:
                    issues.append(Issue("parties.id", "value_invalid", "当事人缺少编号或编号重复"))
        elif _fits(element, shape):
            kept.append(element)
        else:
            refused.append(element)
            issues.append(Issue(field.name, "value_invalid", "内容不合要求"))
    values[field.name] = kept
    if refused:
        rest[field.name] = refused


def _checked_party(
    element: Any, party_fields: Mapping[str, Any], seen: set[str]
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    if not isinstance(element, dict):
        return None, {"value": element}
    party_id = element.get("id")
    if not _fits(party_id, shapes.PARTY_ID) or party_id in seen:
        return None, dict(element)
    kept: dict[str, Any] = {"id": party_id}
    left: dict[str, Any] = {}
    for name, value in element.items():
        if name == "id":
            continue
        if name in party_fields and (value is None or _fits(value, party_fields[name])):
            kept[name] = value
        else:
            left[name] = value
    if left:
        left["id"] = party_id
    return kept, left


def deadline_of(text: str) -> int | None:
    """As `instant_of`, but a plain day means its end: what is due on a day may be done on it."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return instant_of(text)
    start = instant_of(text)
    return None if start is None else end_of_day(start)


def end_of_day(at: int) -> int:
    """The last instant of the civil day that `at` lies in."""
    return (at + _CIVIL_OFFSET_MS) // _DAY_MS * _DAY_MS + _DAY_MS - 1 - _CIVIL_OFFSET_MS


def instant_of(text: str) -> int | None:
    """Epoch milliseconds of an ISO 8601 date or time, None if it is none; without an offset it is civil time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=CIVIL)
    # Subtracted as it is: turning it to UTC first fails at either end of the calendar.
    millis = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return millis if 0 <= millis <= shapes.LATEST else None
