"""What the system does by itself.

Cases follow a new edition of the cells, timed grants end, unsampled settlements are verified, and what the law wants
forgotten is forgotten.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, structs

from sync import casework, content, placing, uploads
from sync.administration import new_batch, unname_leavers
from sync.batch import Batch, Item, status_number
from sync.cases.calendars import add
from sync.cases.catalogue import OPEN_STATUSES
from sync.cases.effects_closing import waits_for_a_person
from sync.commit import Context, Work, audit_row, write
from sync.config import OFFICE, OUTSIDE, Config
from sync.directives import move
from sync.errors import NotFound
from sync.facts import Facts, load_cases
from sync.generations import REGRID
from sync.parents import find_cases
from sync.push_entries import take_effect
from sync.push_facts import load_parents
from sync.spoiled import Failures, despite
from sync.store import Row, Tx
from sync.values import Collection, Doc, Named, Place

CHUNK = 500  # documents a transaction: a waiting push gets its turn in between
_DAY_MS = 86_400_000
VERIFY_AFTER_DAYS = 2  # working days of the district's office calendar


class Moved(Struct, frozen=True):
    """One chunk of a re-assignment: how many moved, and where the next chunk begins (None: done)."""

    looked_at: int
    moved: int
    after: int | None


def regrid_work(limit: int = CHUNK) -> Work[Moved]:
    """Re-assign the next open cases to the cells of the active edition, a chunk at a time.

    Where it stands is a setting that activation puts to 0, so that it goes on after a crash. Closed cases keep their
    historical cell, and so does what lies in a cell that still exists by a person's word or without a fix.
    """

    def work(tx: Tx, context: Context) -> Moved:
        standing = tx.find("setting", {"name": REGRID})
        after = msgspec.json.decode(standing[0]["value"]) if standing else None
        if after is None:
            return Moved(0, 0, None)
        facts = Facts(tx.head(), context.configs.get(tx), context.keys)
        where = {"collection": int(Collection.cases), "pk__gt": after}
        rows = tx.find("document", where, order=["pk"], limit=limit, columns=["pk"])
        docs = facts.learn(tx.documents_by_pk([row["pk"] for row in rows]))
        load_cases(tx, facts, docs)
        batch = new_batch(tx, context)
        moved = 0
        for doc in docs:
            if doc.gone is None and _regrid(batch, facts, doc):
                moved += 1
        write(tx, batch, context, "regrid")
        standing_at = rows[-1]["pk"] if len(rows) == limit else None
        tx.put("setting", {"name": REGRID, "value": msgspec.json.encode(standing_at).decode()})
        if standing_at is None:
            tx.raise_config()
        return Moved(len(docs), moved, standing_at)

    return work


def _regrid(batch: Batch, facts: Facts, doc: Doc) -> bool:
    item = batch.take(doc)
    if item.values.get("status") not in OPEN_STATUSES:
        return False
    config = facts.config
    exists = placing.in_force(config, doc.cell or OUTSIDE)
    by_person = (item.values.get("assignment") or {}).get("method") == "person"
    # Without a fix there is nothing new to go by: its author may have another cell by now.
    if exists and (by_person or placing.fix_of(item.values.get("location")) is None):
        return False
    placed = placing.place(config, item.values, author=doc.writer)
    if placed.cell_pk == doc.cell:
        return False
    batch.set(item, {"assignment": placed.assignment})
    move(batch, facts, item, placed.cell_pk, placed.cell)
    casework.ask_for_place(batch, facts, item)
    return True


class Linked(Struct, frozen=True):
    """How many of what waited has found its case, and where the next look begins (None: all were looked at)."""

    found: int
    after: int | None


def link_waiting(after: int = 0, limit: int = CHUNK) -> Work[Linked]:
    """PU12: entries and files whose case has come into their writer's view since, by a grant, a move, another class."""

    def work(tx: Tx, context: Context) -> Linked:
        where = {"linked": False, "entry_pk__gt": after}
        rows = tx.find("waiting", where, order=["entry_pk"], limit=limit)
        found = despite(lambda failed: _link(tx, context, rows, failed), context.broke) if rows else 0
        return Linked(found, rows[-1]["entry_pk"] if len(rows) == limit else None)

    return work


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


def erase_work(collection: int, doc_id: str) -> Work[int]:
    """Forget a document, and for a case everything that hangs on it; value: how many documents.

    The data key is dropped, so that document, history, ledger and backups' copies of the key's cipher texts open no
    more; the row stays without content, since without it no phone could be told.
    """

    def work(tx: Tx, context: Context) -> int:
        docs = tx.documents(collection, [content.id_bytes(collection, doc_id)])
        if not docs or docs[0].gone is not None:
            raise NotFound
        children = tx.children([docs[0].pk]) if collection == Collection.cases else []
        batch = new_batch(tx, context)
        items = [batch.take(doc) for doc in (*docs, *children) if doc.gone is None]
        namings: list[Named] = tx.namings(cases=[docs[0].pk]) if collection == Collection.cases else []
        for item in items:
            _erase(batch, item)
        for named in namings:
            if named.v_to is None and not named.denied:
                batch.closed.append(named)
        pks = [item.doc.pk for item in items]
        tx.update("change", {"doc_pk": pks}, {"delta": b""})
        tx.update("ledger", {"doc_pk": pks}, {"payload": b""})
        if collection == Collection.cases:
            tx.update("quarantine", {"case_pk": pks}, {"payload": b"", "dek": None, "state": "erased"})
            tx.update("case_clocks", {"case_pk": pks}, {"next_due": None})
        uploads.forget(tx, [item.before for item in items])
        ids = [item.id for item in items]
        tx.update("quarantine", {"doc_id": ids}, {"payload": b"", "dek": None, "state": "erased"})
        write(tx, batch, context, "erase")
        return len(items)

    return work


def _erase(batch: Batch, item: Item) -> None:
    """Close every open place, drop the key, empty the row."""
    for kind in (Place.cell, Place.duty, Place.person):
        batch.place(item, kind, None)
    own = item.doc.own_since is not None or item.doc.collection == Collection.notices
    if item.doc.case_pk is None or own:
        batch.close_author(item)
    identity = item.values["id"]
    item.values = {"id": identity}
    item.old = {}
    item.fresh = None
    item.wrote = True
    item.doc = structs.replace(
        item.doc, gone=batch.n, dek=None, code=None, w=None, digest=None, author_since=None
    )


def verify_unsampled(limit: int = CHUNK) -> Work[int]:
    """The system verifies what was settled or answered at once two working days ago and not drawn. Value: how many.

    At most `limit`; those that wait for a person are passed over, however many they are.
    """

    def work(tx: Tx, context: Context) -> int:
        where: dict[str, Any] = {
            "collection": int(Collection.cases),
            "status": [status_number("settled"), status_number("reported")],
            "gone": None,
        }
        facts = Facts(tx.head(), context.configs.get(tx), context.keys)
        batch = new_batch(tx, context)
        done = after = 0
        while done < limit:
            rows = tx.find("document", where | {"pk__gt": after}, order=["pk"], limit=limit, columns=["pk"])
            if not rows:
                break
            after = rows[-1]["pk"]
            docs = tx.documents_by_pk([row["pk"] for row in rows])
            due = [
                doc
                for doc in docs
                if _waits_for_nobody(facts.config, content.whole(doc, context.keys), context.now)
            ]
            load_cases(tx, facts, facts.learn(due))
            for doc in due[: limit - done]:
                done += casework.act(batch, facts, batch.take(doc), "verify", {}, user_pk=None).done
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
