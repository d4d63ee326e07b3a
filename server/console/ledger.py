"""修改对照: what two have written of one thing, for whoever sees the document in full."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from server.console.scope import Sight, find_document
from sync import content
from sync.cases.compare import RULES_ZH
from sync.config import Config
from sync.errors import NotFound
from sync.ledger_work import LedgerErased, line_values
from sync.store import Row
from sync.values import Collection, Doc, Level

_NEVER: Final = frozenset({"id_number", "id_numbers", "track", "query_code"})
_DECISIONS_ZH: Final[Mapping[str, str]] = {"take": "已采用另一值", "leave": "已看过,维持现状"}


def lines_of_case(sight: Sight, case: Doc) -> list[dict[str, Any]]:
    """The lines of a case and of those of its entries and files that this person sees in full, oldest first."""
    children = [
        doc
        for kind in (Collection.entries, Collection.files)
        for doc in sight.reader.children([case.pk], collection=kind)
    ]
    return _lines(sight, [case, *children])


def lines_of(sight: Sight, collection: int, doc_id: str) -> tuple[Doc, list[dict[str, Any]]]:
    """The lines of one document; raises the same ``NotFound`` for an unknown one and one not seen in full."""
    doc = find_document(sight.reader, collection, doc_id)
    if doc is None or sight.level(doc) != Level.full:
        raise NotFound
    return doc, _lines(sight, [doc])


def _lines(sight: Sight, docs: Sequence[Doc]) -> list[dict[str, Any]]:
    seen = {doc.pk: doc for doc in docs if sight.level(doc) == Level.full}
    rows = sight.reader.find("ledger", {"doc_pk": sorted(seen)}, order=["pk"]) if seen else []
    devices = _devices(sight, rows)
    return [_line(sight, seen[row["doc_pk"]], row, devices) for row in rows]


def _line(sight: Sight, doc: Doc, row: Row, devices: Mapping[int | None, str]) -> dict[str, Any]:
    try:
        values = _without_secrets(line_values(doc, sight.keys, row))
        erased = False
    except LedgerErased:
        values, erased = {}, True
    if row["field"].rpartition(".")[2] in _NEVER:
        values = {}  # here the value itself is what never travels; it stays in the line, sealed
    open_ = row["state"] != "reviewed" and not erased
    return {
        "id": row["pk"],
        "collection": content.NAMES[doc.collection],
        "doc_id": content.id_text(doc.collection, doc.id),
        "at": row["at"],
        "field": row["field"],
        "rule": row["rule"],
        "rule_zh": RULES_ZH.get(row["rule"]),
        "state": "erased" if erased else row["state"],
        "base": values.get("base"),
        "winner": values.get("winner"),
        "loser": values.get("loser"),
        "winner_is": row["decided"],
        "user": _id_of(sight.config, row["user_pk"]),
        "user_name": _name_of(sight.config, row["user_pk"]),
        "device": devices.get(row["device"]),
        "wrote_at": row["wrote_at"],
        "other_user": _id_of(sight.config, row["other_user"]),
        "other_user_name": _name_of(sight.config, row["other_user"]),
        "other_device": devices.get(row["other_device"]),
        "other_at": row["other_at"],
        "decision": row["decision"],
        "decision_zh": _DECISIONS_ZH.get(row["decision"]),
        "decided_by": _name_of(sight.config, row["decided_by"]),
        "decided_at": row["decided_at"],
        "acts": ["take", "leave"] if open_ else [],
    }


def _id_of(config: Config, user_pk: int | None) -> str | None:
    account = config.accounts.get(user_pk) if user_pk is not None else None
    return None if account is None else account.id


def _name_of(config: Config, user_pk: int | None) -> str | None:
    account = config.accounts.get(user_pk) if user_pk is not None else None
    return None if account is None else account.name


def _devices(sight: Sight, rows: Iterable[Mapping[str, Any]]) -> dict[int | None, str]:
    pks = {pk for row in rows for pk in (row["device"], row["other_device"]) if pk is not None}
    if not pks:
        return {}
    found = sight.reader.find("device", {"pk": sorted(pks)}, columns=["pk", "id", "name"])
    return {row["pk"]: row["name"] or row["id"] for row in found}


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_secrets(inner) for name, inner in value.items() if name not in _NEVER}
    if isinstance(value, list):
        return [_without_secrets(inner) for inner in value]
    return value
