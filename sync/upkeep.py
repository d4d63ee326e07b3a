"""What the system does by itself.

What waits finds its case, timed grants end, unsampled settlements are verified.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from sync import casework, content
from sync.administration import new_batch, unname_leavers
from sync.batch import status_number
from sync.cases.calendars import add
from sync.cases.effects_closing import waits_for_a_person
from sync.commit import Context, Work, audit_row, write
from sync.config import OFFICE, Config
from sync.facts import Facts, load_cases
from sync.parents import find_cases
from sync.push_entries import take_effect
from sync.push_facts import load_parents
from sync.spoiled import Failures, despite
from sync.store import Reader, Row, Tx
from sync.values import Collection, Keys

CHUNK = 500  # documents a transaction: a waiting push gets its turn in between
_DAY_MS = 86_400_000
VERIFY_AFTER_DAYS = 2  # working days of the district's office calendar


class Linked(Struct, frozen=True):
    """How many of what waited has found its case, and where the next look begins (None: all were looked at)."""

    found: int
    after: int | None


def link_waiting(after: int = 0, limit: int = CHUNK) -> Work[Linked]:
    """PU12: entries and files whose case has come into their writer's view since, by a grant, a move, another class."""

    def work(tx: Tx, context: Context) -> Linked:
        where = {"linked": False, "entry_pk__gt": after}
        rows = tx.find("waiting", where, order=["entry_pk"], limit=limit)
        there = _that_are_there(tx, rows)
        found = despite(lambda failed: _link(tx, context, there, failed), context.broke) if there else 0
        return Linked(found, rows[-1]["entry_pk"] if len(rows) == limit else None)

    return work


def _that_are_there(tx: Tx, rows: Sequence[Row]) -> list[Row]:
    """Those that wait for something that has come: the others are found by its push, and opening them is dear."""
    keys = sorted({bytes(row["case_id"]) for row in rows})
    known = {
        bytes(doc.id)
        for collection in (Collection.cases, Collection.entries, Collection.visits)
        for doc in tx.documents(collection, keys)
    }
    return [row for row in rows if bytes(row["case_id"]) in known]


def _link(tx: Tx, context: Context, rows: Sequence[Row], failed: Failures) -> int:
    facts = Facts(tx.head(), context.configs.get(tx), context.keys, failed=failed)
    waiting = facts.learn(tx.documents_by_pk([row["entry_pk"] for row in rows]))
    load_parents(tx, facts, {row["case_id"] for row in rows})
    facts.series.update({row["name"]: row["value"] for row in tx.find("series")})
    batch = new_batch(tx, context)
    batch.effects += failed.values()
    found = find_cases(batch, facts, waiting)
    take_effect(batch, facts)
    write(tx, batch, context, "waiting.link")
    return found


def end_timed_grants() -> Work[int]:
    """Close the grants whose announced end has come; value: how many."""

    def work(tx: Tx, context: Context) -> int:
        rows = tx.find("grant_role", {"v_to": None, "until_at__le": context.now}, columns=["pk", "user_pk"])
        if not rows:
            return 0
        n = tx.number()
        ended = [row["pk"] for row in rows]
        tx.update("grant_role", {"pk": ended}, {"v_to": n})
        unname_leavers(tx, {row["user_pk"] for row in rows}, n)
        tx.raise_config()
        audit_row(tx, context, n, "grant.expired", [f"grant:{pk}" for pk in ended])
        return len(ended)

    return work


def unsampled(reader: Reader, config: Config, keys: Keys, *, now: int, limit: int = CHUNK) -> list[int]:
    """Cases settled or answered at once two working days ago and not drawn, at most `limit`, by key.

    Those that wait for a person are passed over, however many they are: so this looks in a snapshot, beside the writer.
    """
    where: dict[str, Any] = {
        "collection": int(Collection.cases),
        "status": [status_number("settled"), status_number("reported")],
        "gone": None,
    }
    due: list[int] = []
    after = 0
    while len(due) < limit:
        rows = reader.find("document", where | {"pk__gt": after}, order=["pk"], limit=limit, columns=["pk"])
        if not rows:
            break
        after = rows[-1]["pk"]
        docs = reader.documents_by_pk([row["pk"] for row in rows])
        due += [doc.pk for doc in docs if _waits_for_nobody(config, content.whole(doc, keys), now)]
    return due[:limit]


def verify_unsampled(pks: Sequence[int]) -> Work[int]:
    """The system verifies these, those of them that still wait for nobody. Value: how many."""

    def work(tx: Tx, context: Context) -> int:
        facts = Facts(tx.head(), context.configs.get(tx), context.keys)
        batch = new_batch(tx, context)
        docs = [
            doc
            for doc in tx.documents_by_pk(pks)
            if doc.gone is None
            and _waits_for_nobody(facts.config, content.whole(doc, context.keys), context.now)
        ]
        load_cases(tx, facts, facts.learn(docs))
        done = sum(
            casework.act(batch, facts, batch.take(doc), "verify", {}, user_pk=None).done for doc in docs
        )
        write(tx, batch, context, "verify.unsampled")
        return done

    return work


def _waits_for_nobody(config: Config, case: Mapping[str, Any], now: int) -> bool:
    """Whether a case was settled or answered at once, long enough ago, and needs no person to look at it."""
    if waits_for_a_person(case):
        return False
    track = case.get("track") or {}
    since = track.get("answered_at") or case.get("resolved_at") or case.get("received_at") or now
    office = config.calendars.get(OFFICE)
    return now >= (
        since + VERIFY_AFTER_DAYS * _DAY_MS if office is None else add(office, since, VERIFY_AFTER_DAYS, "wd")
    )
