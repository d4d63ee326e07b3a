"""How a case is shown: a line of a list, and the whole page with what happened, what was overwritten, what is next."""

from collections.abc import Mapping
from typing import Any, Final

from server.console.ledger import lines_of_case
from server.console.scope import Seen, Sight
from sync import casework, content, leaders
from sync.batch import Item
from sync.cases import model
from sync.cases.catalogue import CATEGORIES, ENTRY_TYPES, KINDS, STATUSES, TABLES
from sync.cases.lifecycle import legal_acts
from sync.config import Config
from sync.facts import Facts
from sync.mergers import links_of
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
    "master_case",
    "v",
)


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


def line_of(sight: Sight, seen: Seen, marks: Mapping[int, int]) -> dict[str, Any]:
    """A case in a list; `form` says how much of it the caller sees, `marks` how many may be the same."""
    line = {name: seen.shown[name] for name in _LINE if name in seen.shown}
    if seen.level >= Level.plain:
        line["title"] = model.display_title(seen.shown)
    if seen.doc.pk in marks:
        line["duplicates"] = marks[seen.doc.pk]
    return line | words_of(sight.config, seen) | {"form": seen.form}


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
        page["files"] = files_of(sight, seen)
        page["files_missing"] = [file["id"] for file in page["files"] if file.get("state") != "verified"]
    if seen.level == Level.full:
        page["ledger"] = lines_of_case(sight, seen.doc)
        page["carried"] = carried_of(sight, seen)
    if merged := merged_of(sight, seen):
        page["merged"] = merged
    return page


def merged_of(sight: Sight, seen: Seen) -> list[dict[str, Any]]:
    """What was merged into the case, in chains too, of what this person sees: the numbers and the timelines stay."""
    if seen.level < Level.plain:
        return []
    links = links_of(sight.reader, [seen.doc.pk])
    below: set[int] = set()
    more = {seen.doc.pk}
    while more:
        more = {case for case, master in links if master in more} - below
        below |= more
    found = []
    for doc in sight.reader.documents_by_pk(sorted(below)):
        part = sight.see(doc)
        if part is not None and part.level >= Level.plain:
            found.append(
                {
                    "case": part.shown | words_of(sight.config, part),
                    "title": model.display_title(part.shown),
                    "timeline": timeline_of(sight, part),
                }
            )
    return found


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


def _left_with_master(sight: Sight, seen: Seen) -> list[tuple[Doc, Level, dict[str, Any]]]:
    """What was written to this case while it was merged: it stays with the former master, and is read here too."""
    rows = sight.reader.find("merger", {"case_pk": seen.doc.pk}, columns=["master_pk", "v_to"])
    return [
        entry
        for master in sorted({row["master_pk"] for row in rows if row["v_to"] is not None})
        for entry in children_of(sight, master, Collection.entries)
        if entry[2].get("moved_from") == seen.shown["id"]
    ]


def timeline_of(sight: Sight, seen: Seen) -> list[dict[str, Any]]:
    """Entries in the order in which the server received them, with their files."""
    if seen.level < Level.plain:
        return []
    files: dict[str, list[dict[str, Any]]] = {}
    for _, _, values in children_of(sight, seen.doc.pk, Collection.files):
        files.setdefault(str(values.get("owner_id")), []).append(values)
    lines = []
    entries = children_of(sight, seen.doc.pk, Collection.entries) + _left_with_master(sight, seen)
    for doc, _, values in entries:
        line = values | {
            "type_zh": word(ENTRY_TYPES, values.get("type")),
            "author_name": user_name(sight.config, values.get("author")),
        }
        if values["id"] in files:
            line["attached"] = files[values["id"]]
        lines.append((doc.born, doc.pk, line))
    lines.sort(key=lambda entry: entry[:2])
    return [line for _, _, line in lines]


def files_of(sight: Sight, seen: Seen) -> list[dict[str, Any]]:
    """The case's files that this person sees, in the order in which they came, whether their bytes are here or not."""
    return [
        values
        | {
            "state_zh": word(TABLES["file_states"], values.get("state")),
            "reason_zh": word(TABLES["file_refusals"], values.get("reason")),
            "author_name": user_name(sight.config, values.get("author")),
        }
        for _, _, values in children_of(sight, seen.doc.pk, Collection.files)
    ]
