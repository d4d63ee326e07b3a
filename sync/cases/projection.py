"""What each reader is sent of a document: fields are left out, never masked in place."""

from collections.abc import Mapping
from typing import Any, Final

from sync.cases import shapes
from sync.cases.catalogue import CATEGORIES, KINDS
from sync.cases.fields import SECRET_FIELDS

NIL_ID: Final = "00000000-0000-0000-0000-000000000000"
OWN_PREFIX: Final = "x_"


def strip_secret(parties: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Parties as they may travel, and party id -> what may not.

    The second is kept apart so that a phone which never saw an id number cannot erase it by pushing back.
    """
    wire: list[dict[str, Any]] = []
    secret: dict[str, dict[str, Any]] = {}
    for party in parties:
        kept = {name: value for name, value in party.items() if name in shapes.PARTY_SECRET}
        if kept:
            secret[party["id"]] = kept
            wire.append({name: value for name, value in party.items() if name not in shapes.PARTY_SECRET})
        else:
            wire.append(party)
    return wire, secret


def mask_parties(parties: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`[{id, role, name, phone}]` with the surname and the ends of the number only; the alias never travels whole."""
    masked = []
    for party in parties:
        name = party.get("name") or ""
        phone = party.get("phone") or ""
        masked.append(
            {
                "id": party["id"],
                "role": party.get("role"),
                "name": name[:1] + "*" * (len(name) - 1) if name else None,
                "phone": f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 11 else "****" if phone else None,
            }
        )
    return masked


FORMS: Final = ("full", "plain", "shell", "facts", "notice")
_SHELL: Final = ("id", "cell", "status", "protection", "v")
_FACTS: Final = ("id", "cell", "category_group", "level", "due", "supervision", "v")
_NOTICE: Final = ("id", "code", "status", "v")
# Sealed personal text outside cases that a reader of the plain form is not sent.
_PLAIN_OMITS: Final[Mapping[str, frozenset[str]]] = {
    "visits": frozenset({"notes", "companions"}),
    "households": frozenset({"contact_name", "contact_phone", "emergency_contact", "care_note"}),
    "files": frozenset({"caption", "transcript"}),
}


def project(collection: str, doc: Mapping[str, Any], form: str, *, centre: bool = False) -> dict[str, Any]:
    """What a reader of this form is sent of a whole document: fields are left out, never masked in place.

    `centre` adds `recused`, which nobody outside the centre may know of. An unknown form is a programming error.
    """
    if form == "full":
        out = _whole(collection, doc, centre=centre)
    elif form == "plain":
        out = _whole(collection, doc, centre=centre)
        if collection == "cases":
            parties = out.get("parties")
            if parties is not None:
                out["parties"] = [
                    {name: value for name, value in party.items() if name not in shapes.PARTY_PERSONAL}
                    for party in parties
                ]
                out["parties_masked"] = mask_parties(parties)
        else:
            for name in _PLAIN_OMITS.get(collection, ()):
                out.pop(name, None)
    elif form in _NARROW:
        out = {name: doc[name] for name in _NARROW[form] if name in doc}
        if form == "facts" and "category_group" not in out:
            out["category_group"] = category_group(doc.get("category"))
    else:
        raise ValueError(f"no such form: {form}")
    return out


_NARROW: Final[Mapping[str, tuple[str, ...]]] = {"shell": _SHELL, "facts": _FACTS, "notice": _NOTICE}


def _whole(collection: str, doc: Mapping[str, Any], *, centre: bool) -> dict[str, Any]:
    secret = SECRET_FIELDS[collection]
    out = {name: value for name, value in doc.items() if name not in secret}
    if collection == "cases":
        out.pop("parties_masked", None)
        if not centre:
            out.pop("recused", None)
        parties = out.get("parties")
        if parties:
            out["parties"] = strip_secret(parties)[0]
    return out


def category_group(category: str | None) -> str | None:
    """The group of a category: `02` for `0203`, `R` for `R02`; own codes have none."""
    if not category or category.startswith(OWN_PREFIX):
        return None
    return category[:2] if category[:1].isdigit() else category[:1]


def display_title(case: Mapping[str, Any]) -> str:
    """The title, or one made of what is known: nobody is asked to type one."""
    title = case.get("title")
    if title:
        return str(title)
    description = (case.get("description") or "").strip()
    if description:
        first = description.splitlines()[0].split("。")[0]
        return first if len(first) <= 30 else first[:29] + "…"
    kind = KINDS.get(case.get("kind") or "")
    category = CATEGORIES.get(case.get("category") or "")
    words = [category.zh if category else kind.zh if kind else "未命名"]
    if case.get("address"):
        words.insert(0, str(case["address"])[:20])
    return " ".join(words)


def neutral(collection: str, doc_id: str) -> dict[str, Any]:
    """The body of a tombstone: valid for the published schema, and the same for every document."""
    return {"id": doc_id, **_NEUTRAL[collection], "_deleted": True}


_NEUTRAL: Final[Mapping[str, Mapping[str, Any]]] = {
    "cases": {"kind": "dispute", "captured_at": 0},
    "entries": {"case_id": NIL_ID, "type": "note"},
    "visits": {"subject_kind": "household", "at": 0},
    "households": {},
    "tasks": {"type": "visit_due"},
    "files": {"owner_id": NIL_ID, "kind": "photo"},
    "notices": {},
    "cells": {},
}
