"""The leaders' queue as one caller sees it: what is stuck, why, since when."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from server.console.ahead import acts_of, next_of
from server.console.scope import CENTRE, LEADER_LEVEL, Seen, Sight
from server.console.shown import cell_of, children_of, handler_of, user_name, word
from sync import content
from sync.cases import model, queue
from sync.cases.catalogue import CATEGORIES, LEVELS, STATUSES
from sync.errors import NotFound
from sync.store import Row
from sync.values import Collection, Level

QUEUE_ROLES: Final = frozenset({*LEADER_LEVEL, *CENTRE, "duty_officer"})
_ROWS_MAX = 2000  # open rows looked at, the highest and oldest first


def visible_rows(sight: Sight, *, closed: bool = False, limit: int = 500) -> list[tuple[Row, Seen]]:
    """Rows of the queue with their cases, the highest level and the longest waiting first."""
    where: dict[str, Any] = {"closed_at__gt": 0} if closed else {"closed_at": None}
    rows = sight.reader.find("escalation", where, order=["-level", "opened_at", "pk"], limit=_ROWS_MAX)
    docs = {doc.pk: doc for doc in sight.reader.documents_by_pk(sorted({row["case_pk"] for row in rows}))}
    found: list[tuple[Row, Seen]] = []
    raised: set[tuple[int, str]] = set()
    for row in rows:
        doc = docs.get(row["case_pk"])
        if doc is None or not (closed or _is_his(sight, doc, row, raised)):
            continue
        seen = _seen(sight, doc, row)
        if seen is not None:
            found.append((row, seen))
        if len(found) >= limit:
            break
    return found


def _is_his(sight: Sight, doc: Any, row: Row, raised: set[tuple[int, str]]) -> bool:
    """Whether a row is in this person's list: a leader's holds what has come to his own level, not what waits below.

    Others follow a case at the highest level it has reached for one reason; `raised` remembers those listed already.
    """
    levels = {LEADER_LEVEL[role] for role in sight.roles_at(doc) if role in LEADER_LEVEL}
    if levels:
        return row["level"] in levels
    reason = (row["case_pk"], row["key"].split(":")[0])
    if reason in raised:
        return False
    raised.add(reason)
    return True


def open_row(sight: Sight, row_id: str) -> tuple[Row, Seen]:
    """A row by its id; ``NotFound`` alike for one that is not there and one that is not for this person."""
    rows = sight.reader.find("escalation", {"id": row_id}, limit=1) if len(row_id) <= 64 else []
    docs = sight.reader.documents_by_pk([rows[0]["case_pk"]]) if rows else []
    seen = _seen(sight, docs[0], rows[0]) if docs else None
    if seen is None:
        raise NotFound
    return rows[0], seen


def _seen(sight: Sight, doc: Any, row: Row) -> Seen | None:
    if sight.recused(doc.pk) or not sight.roles_at(doc) & QUEUE_ROLES:
        return None
    return sight.see(doc, [row])


def items_of(sight: Sight, rows: Sequence[tuple[Row, Seen]], now: int) -> list[dict[str, Any]]:
    """Rows of the queue; what comes next is worked out once a case."""
    ahead: dict[int, dict[str, Any] | None] = {}
    for _, seen in rows:
        if seen.doc.pk not in ahead:
            ahead[seen.doc.pk] = next_of(sight, seen, now)
    return [_item(sight, row, seen, now, ahead[seen.doc.pk]) for row, seen in rows]


def item_of(sight: Sight, row: Row, seen: Seen, now: int) -> dict[str, Any]:
    """One row of the queue; `title` is null where the caller sees the facts of a protected case only."""
    return _item(sight, row, seen, now, next_of(sight, seen, now))


def _item(sight: Sight, row: Row, seen: Seen, now: int, ahead: dict[str, Any] | None) -> dict[str, Any]:
    config = sight.config
    kept = msgspec.json.decode(row["body"], type=queue.Row)
    # Of a case whose facts alone are shown: its group, place and clocks, and that it is protected; no more.
    plain = seen.level >= Level.plain
    values = seen.shown if plain else content.whole(seen.doc, sight.keys)
    group = values.get("category_group") or model.category_group(values.get("category"))
    status = str(seen.shown.get("status") or "")
    asked = queue.group(kept, now)
    # a promise that has passed without an end asks for a decision again
    lapsed = row["state"] == "acked" and asked == "decide"
    level = next((one for one in LEVELS.values() if one.code == str(row["level"])), None)
    return {
        "id": row["id"],
        "case_id": seen.shown["id"],
        "code": seen.shown.get("code"),
        "level": row["level"],
        "level_zh": str(row["level"]) if level is None else level.zh,
        "state": "open" if lapsed else row["state"],
        "group": asked,
        "acts": acts_of(sight, seen, row),
        "next": ahead,
        "opened_at": row["opened_at"],
        "reason_zh": kept.reason_zh,
        "reason_en": kept.reason_en,
        "asked_zh": kept.asked_zh,
        "asked_en": kept.asked_en,
        "clock": kept.clock,
        "due_at": _due_of(values, kept.clock),
        "ack_due_at": kept.ack_due_at,
        "firing_key": row["key"],
        "category_group": group,
        "category_zh": word(CATEGORIES, values.get("category")) if plain else None,
        "status": status,
        "status_zh": word(STATUSES, status) or "",
        "risk": _risk_of(values) if plain else None,
        "protection": values.get("protection") or "normal",
        "cell": cell_of(config, values.get("cell")),
        "handler": handler_of(config, values) if plain else None,
        "title": model.display_title(values) if plain else None,
        "ack": _ack_of(sight, kept),
        "instruction": _instruction_of(sight, seen, kept),
    }


def _risk_of(values: Mapping[str, Any]) -> dict[str, Any] | None:
    colour = (values.get("risk") or {}).get("colour")
    return None if colour is None else {"colour": colour}


def _due_of(values: Mapping[str, Any], clock: str) -> int | None:
    for line in values.get("due") or ():
        if line.get("clock") == clock and isinstance(line.get("due_at"), int):
            return int(line["due_at"])
    return None


def _ack_of(sight: Sight, kept: queue.Row) -> dict[str, Any] | None:
    if kept.ack_by is None:
        return None
    return {"by": kept.ack_by, "by_name": user_name(sight.config, kept.ack_by), "until": kept.ack_until}


def _instruction_of(sight: Sight, seen: Seen, kept: queue.Row) -> dict[str, Any] | None:
    if kept.instruction_due_at is None:
        return None
    text, unit = "", None
    for _, _, values in children_of(sight, seen.doc.pk, Collection.entries):
        body = values.get("body") or {}
        if values.get("type") == "instruction" and body.get("due") in {kept.instruction_due_at, None}:
            text, unit = str(body.get("text") or ""), body.get("unit")
    return {"text": text, "due_at": kept.instruction_due_at, "unit": unit}
