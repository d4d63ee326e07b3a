"""What lies ahead of a case for one leader: the next level in a sentence, and what reaches him by tomorrow."""

from typing import Any, Final

from server.console.scope import CENTRE, LEADER_LEVEL, Seen, Sight
from server.console.shown import cell_of, handler_of, word
from server.console.terms import explained
from sync.cases import model
from sync.cases.acts import ANY_STATUS_ACTS
from sync.cases.calendars import DAY, add_span, parse_span
from sync.cases.catalogue import CATEGORIES, STATUSES
from sync.leaders import QUEUE_ACTS, reach_of_roles
from sync.store import Row
from sync.values import Level

_NEXT_WORKING_DAY: Final = parse_span("1wd")
_CASES_MAX: Final = 500  # cases on which something happens by then, the soonest first


def next_of(sight: Sight, seen: Seen, now: int) -> dict[str, Any] | None:
    """What comes next by the rules: `zh`, `en` sentences; `at`, `level` null where no higher level lies ahead."""
    told = explained(sight, seen, now=now, lang="zh")
    if told is None:
        return None
    here = seen.shown.get("level") or 0
    rungs = [
        (rung.due_at, rung.level)
        for rung in told.rungs
        if rung.due_at is not None and rung.level > here and not rung.warn and rung.fired_at is None
    ]
    at, level = min(rungs, default=(None, None))
    return {"at": at, "level": level, "zh": told.sentence_zh, "en": told.sentence_en}


def acts_of(sight: Sight, seen: Seen, row: Row) -> list[str]:
    """What this person may do on a row: a leader on those of his level and below, as the tables of acts say."""
    if row["closed_at"] is not None:
        return []
    roles = sight.roles_at(seen.doc)
    top = max((LEADER_LEVEL[role] for role in roles if role in LEADER_LEVEL), default=0)
    if top < row["level"] and not roles & {*CENTRE, "duty_officer"}:
        return []
    held_above = reach_of_roles(roles) < (seen.shown.get("level") or 0)
    return sorted(
        act
        for act in QUEUE_ACTS
        if roles & set(ANY_STATUS_ACTS[act].who) and not (act == "send_back" and held_above)
    )


def coming(sight: Sight, now: int) -> list[dict[str, Any]]:
    """Cases that reach this leader's level by the end of the next working day if nothing happens, soonest first.

    A protected case is not among them: its facts are shown once it has been raised.
    """
    calendar = next(iter(sight.config.calendars.values()), None)
    until = now + DAY if calendar is None else add_span(calendar, now, _NEXT_WORKING_DAY)
    if not sight.config.roles(sight.user_pk) & LEADER_LEVEL.keys():
        return []
    due = sight.reader.find(
        "case_clocks", {"next_due__le": until}, order=["next_due"], limit=_CASES_MAX, columns=["case_pk"]
    )
    found = []
    for doc in sight.reader.documents_by_pk(sorted(row["case_pk"] for row in due)):
        levels = {LEADER_LEVEL[role] for role in sight.roles_at(doc) if role in LEADER_LEVEL}
        if not levels or doc.gone is not None or sight.recused(doc.pk):
            continue
        seen = sight.see(doc)
        if seen is None or seen.level < Level.plain:
            continue
        ahead = next_of(sight, seen, now)
        if ahead is not None and ahead["level"] in levels and ahead["at"] <= until:
            found.append(_item(sight, seen, ahead))
    return sorted(found, key=lambda item: (item["next"]["at"], item["case_id"]))


def _item(sight: Sight, seen: Seen, ahead: dict[str, Any]) -> dict[str, Any]:
    values = seen.shown
    status = str(values.get("status") or "")
    colour = (values.get("risk") or {}).get("colour")
    return {
        "case_id": values["id"],
        "code": values.get("code"),
        "title": model.display_title(values),
        "category_zh": word(CATEGORIES, values.get("category")),
        "status": status,
        "status_zh": word(STATUSES, status) or "",
        "risk": None if colour is None else {"colour": colour},
        "protection": values.get("protection") or "normal",
        "cell": cell_of(sight.config, values.get("cell")),
        "handler": handler_of(sight.config, values),
        "next": ahead,
    }
