"""How a case is shown: a line of a list, and the whole page with what happened, what was overwritten, what is next."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from server.console.scope import Seen, Sight
from sync import casework, content, leaders
from sync.batch import Item
from sync.cases import model
from sync.cases.catalogue import CATEGORIES, ENTRY_TYPES, KINDS, STATUSES, TABLES
from sync.cases.lifecycle import legal_acts
from sync.config import Config
from sync.facts import Facts
from sync.values import Collection, Doc, Level

# A list shows what tells cases apart; the rest is on the page of the case.
_LINE: Final[tuple[str, ...]] = (
    "id",
    "code",
    "kind",
    "category",
    "category_group",
    "status",
    "cell",
    "protection",
    "urgency",
    "risk",
    "level",
    "supervision",
    "handler",
    "address",
    "location",
    "assignment",
    "people_count",
    "captured_at",
    "captured_est",
    "captured_err",
    "clock_flag",
    "received_at",
    "admitted_at",
    "resolved_at",
    "closed_at",
    "due",
    "source",
    "source_due",
    "is_anonymous",
    "reopened_count",
    "v",
)
_NEVER: Final = frozenset({"id_number", "id_numbers", "track", "query_code"})


def word(table: Mapping[str, Any], code: Any) -> str | None:
    """The Chinese label of a code, None where there is none."""
    row = table.get(code) if isinstance(code, str) else None
    return None if row is None else str(row.zh)


def user_name(config: Config, user: Any) -> str | None:
    """A person's name by user id."""
    account = config.account_by_id.get(user) if isinstance(user, str) else None
    return None if account is None else account.name


def handler_of(config: Config, shown: Mapping[str, Any]) -> dict[str, Any] | None:
    """Who has the case, with names; None while nobody has it."""
    handler = shown.get("handler") or {}
    if not handler.get("unit"):
        return None
    unit = config.unit_by_code.get(handler["unit"])
    return {
        "unit": handler["unit"],
        "unit_name": unit.name if unit is not None else handler["unit"],
        "user_name": user_name(config, handler.get("user")),
    }


def cell_of(config: Config, code: Any) -> dict[str, str] | None:
    """A cell's code and name."""
    row = config.cell_by_code.get(code) if isinstance(code, str) else None
    return None if row is None else {"code": row.code, "name": row.name}


def words_of(config: Config, seen: Seen) -> dict[str, Any]:
    """The labels a screen needs beside the codes of a case."""
    shown = seen.shown
    cell = cell_of(config, shown.get("cell"))
    handler = handler_of(config, shown)
    return {
        "status_zh": word(STATUSES, shown.get("status")),
        "kind_zh": word(KINDS, shown.get("kind")),
        "category_zh": word(CATEGORIES, shown.get("category")),
        "clock_flag_zh": word(TABLES["clock_flags"], shown.get("clock_flag")),
        "cell_name": None if cell is None else cell["name"],
        "unit_name": None if handler is None else handler["unit_name"],
        "handler_name": None if handler is None else handler["user_name"],
        "author_name": user_name(config, shown.get("author")),
    }


def line_of(config: Config, seen: Seen) -> dict[str, Any]:
    """A case in a list; `form` says how much of it the caller sees."""
    line = {name: seen.shown[name] for name in _LINE if name in seen.shown}
    if seen.level >= Level.plain:
        line["title"] = model.display_title(seen.shown)
    return line | words_of(config, seen) | {"form": seen.form}


def page_of(sight: Sight, seen: Seen) -> dict[str, Any]:
    """The page of a case; what the caller is not shown is left out."""
    page: dict[str, Any] = {
        "case": seen.shown | words_of(sight.config, seen),
        "form": seen.form,
        "timeline": timeline_of(sight, seen),
        "legal_acts": legal_of(sight, seen),
        "due": seen.shown.get("due") or [],
    }
    if seen.level >= Level.plain:
        page["title"] = model.display_title(seen.shown)
    if seen.level == Level.full:
        page["ledger"] = ledger_of(sight, seen)
        page["carried"] = carried_of(sight, seen)
    return page


def carried_of(sight: Sight, seen: Seen) -> list[dict[str, Any]]:
    """SE8: who brought the case as a sealed bundle, and when; none where its own phone pushed it."""
    where = {"doc_id": content.id_text(seen.doc.collection, seen.doc.id), "device_pk": seen.doc.device}
    rows = sight.reader.find("sealed_bundle", where, order=["pk"]) if seen.doc.device is not None else []
    return [{"at": row["at"], "by": _carrier(sight.config, row["carrier"])} for row in rows]


def _carrier(config: Config, actor: str) -> str | None:
    kind, _, identity = actor.partition(":")
    return user_name(config, identity) if kind == "user" else actor


def legal_of(sight: Sight, seen: Seen) -> list[str]:
    """The acts this person could do now; a shell or the bare facts allow none here."""
    if seen.level < Level.plain:
        return []
    item = Item(seen.doc, content.whole(seen.doc, sight.keys))
    facts = Facts(sight.reader.head(), sight.config, sight.keys)
    actor = casework.actor_on(facts, sight.user_pk, item)
    rows = sight.reader.find("escalation", {"case_pk": seen.doc.pk, "closed_at": None}, columns=["level"])
    levels = [row["level"] for row in rows]
    clocks = [line["clock"] for line in item.values.get("due") or ()]
    return [
        act for act in legal_acts(item.values, actor) if leaders.answerable(act, actor.roles, levels, clocks)
    ]


# --- what happened ---------------------------------------------------------------------------------------------------


def children_of(sight: Sight, case_pk: int, collection: int) -> list[tuple[Doc, Level, dict[str, Any]]]:
    """Children of a case that this person sees, each in its projection."""
    found = []
    for doc in sight.reader.children([case_pk], collection=collection):
        level = sight.level(doc)
        if level >= Level.plain:
            form = "full" if level == Level.full else "plain"
            values = content.wire_values(doc, sight.keys)
            found.append((doc, level, model.project(content.NAMES[collection], values, form)))
    return found


def timeline_of(sight: Sight, seen: Seen) -> list[dict[str, Any]]:
    """Entries in the order in which the server received them, with their files."""
    if seen.level < Level.plain:
        return []
    files: dict[str, list[dict[str, Any]]] = {}
    for _, _, values in children_of(sight, seen.doc.pk, Collection.files):
        files.setdefault(str(values.get("owner_id")), []).append(values)
    lines = []
    for doc, _, values in children_of(sight, seen.doc.pk, Collection.entries):
        line = values | {
            "type_zh": word(ENTRY_TYPES, values.get("type")),
            "author_name": user_name(sight.config, values.get("author")),
        }
        if values["id"] in files:
            line["attached"] = files[values["id"]]
        lines.append((doc.born, doc.pk, line))
    lines.sort(key=lambda entry: entry[:2])
    return [line for _, _, line in lines]


def ledger_of(sight: Sight, seen: Seen) -> list[dict[str, Any]]:
    """修改对照: both values of every overlapping edit, who made it and which rule decided."""
    doc = seen.doc
    rows = sight.reader.find("ledger", {"doc_pk": doc.pk}, order=["pk"])
    devices = _devices(sight, rows)
    lines = []
    for row in rows:
        body = row["payload"]
        if doc.dek is not None:
            label = content.label_of(doc.collection, doc.id) + b"ledger"
            body = content.unseal(sight.keys, doc.dek, body, label)
        values = _without_secrets(msgspec.json.decode(body))
        if row["field"].rpartition(".")[2] in _NEVER:
            values = {}  # here the value itself is what never travels; it stays in the line, sealed
        account = sight.config.accounts.get(row["user_pk"])
        lines.append(
            {
                "id": row["pk"],
                "at": row["at"],
                "field": row["field"],
                "rule": row["rule"],
                "state": row["state"],
                "base": values.get("base"),
                "winner": values.get("winner"),
                "loser": values.get("loser"),
                "user": None if account is None else account.id,
                "user_name": None if account is None else account.name,
                "device": devices.get(row["device"]),
                "other_device": devices.get(row["other_device"]),
            }
        )
    return lines


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
