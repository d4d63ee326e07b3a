"""What the rows of a push are decided from, loaded once in the writing transaction (PU2)."""

from collections.abc import Mapping, Sequence, Set as AbstractSet

import msgspec

from sync import content, placing, push_cases, push_others
from sync.addresses import addressed
from sync.entry_classes import load_named
from sync.facts import Facts, load_cases, load_history
from sync.parents import MERGED_HOPS, case_keys, is_act, masters
from sync.pull import Caller
from sync.rows import PushRow
from sync.store import Reader, Row, Tx
from sync.values import Collection, Doc
from sync.versions import OLDEST, SchemaTooOld


def load(tx: Tx, facts: Facts, caller: Caller, collection: int, rows: Sequence[PushRow]) -> None:
    """Everything the decisions on these rows may ask."""
    ids = {row.key: row.doc["id"] for row in rows if row.key}
    keys = list(ids)
    if facts.head.epoch > 1:
        facts.restored = min((row["restored_to"] for row in tx.find("epoch", {"epoch__gt": 1})), default=None)
    known = facts.learn(tx.documents(collection, keys))
    load_history(tx, facts, known)
    if known:
        facts.clock_offset = _clock_offset(tx, caller)
    load_cases(tx, facts, _cases(tx, facts, collection, rows, known))
    unsure = ids if caller.late or caller.speaks < OLDEST else _may_be_kept(facts, collection, rows, ids)
    _kept(tx, facts, collection, unsure, rows)
    if not caller.late and caller.speaks >= OLDEST:
        facts.too_old = _too_old(tx, caller, collection)
    if collection == Collection.cases:
        _captures(tx, facts, keys, rows)
    waits = [doc.pk for doc in known if doc.own_since is not None]
    if waits:
        decided = tx.find("waiting", {"entry_pk": waits, "linked": True}, columns=["entry_pk"])
        facts.let_go |= {row["entry_pk"] for row in decided}
    if collection == Collection.cases or waits or any(is_act(row) for row in rows):
        facts.series.update({row["name"]: row["value"] for row in tx.find("series")})
    if collection == Collection.entries:
        load_named(tx, facts, [row.doc.get("body") for row in rows if row.fault is None])
        push_cases.load_waiting(tx, facts, keys)  # files that came before the entry they show
        load_named_by_waiting(tx, facts)
    if collection == Collection.visits:
        push_cases.load_waiting(tx, facts, keys)  # files that came before the visit they were taken at
    if collection in {Collection.cases, Collection.visits}:
        _homes(tx, facts, collection, rows)
    for named in tx.namings(users=[caller.user_pk]):
        of_case = facts.namings.setdefault(named.case_pk, [])
        if named not in of_case:
            of_case.append(named)


def _clock_offset(tx: Tx, caller: Caller) -> int | None:
    """What the phone's clock was wrong by when it last said hello: then both clocks were read at one instant."""
    rows = tx.find("device", {"pk": caller.device_pk}, columns=["state", "seen_at"])
    told = msgspec.json.decode(rows[0]["state"] or "{}") if rows else {}
    wall = told.get("wall") if isinstance(told, dict) else None
    whole = isinstance(wall, int) and not isinstance(wall, bool)
    return rows[0]["seen_at"] - wall if whole else None


def _may_be_kept(
    facts: Facts, collection: int, rows: Sequence[PushRow], ids: Mapping[bytes, str]
) -> Mapping[bytes, str]:
    """The ids of a push whose rows may be put aside: a clean capture of a case that is not here never is."""
    if collection != Collection.cases or len(ids) < len(rows):
        return ids
    return {
        row.key: ids[row.key]
        for row in rows
        if row.fault is not None
        or not row.checked.usable
        or row.checked.rest
        or row.doc.get("_deleted")
        or (collection, row.key) in facts.docs
    }


def _kept(tx: Tx, facts: Facts, collection: int, ids: Mapping[bytes, str], rows: Sequence[PushRow]) -> None:
    """Which rows are in quarantine already: those with an id by it, those without by what they say."""
    columns = ["pk", "id", "doc_id", "w", "reason", "device", "case_pk", "dek"]
    keys = {text: key for key, text in ids.items()}
    where = {"doc_id": list(keys), "collection": collection}
    kept = tx.find("quarantine", where, order=["pk"], columns=columns) if keys else []
    marks = [row.mark for row in rows if not row.key]
    if marks:
        kept += tx.find(
            "quarantine", {"doc_id": "", "collection": collection, "w": marks}, order=["pk"], columns=columns
        )
    facts.kept |= {(collection, keys.get(row["doc_id"], b""), row["w"] or ""): row for row in kept}
    based = [row for row in rows if row.base is not None] if kept else []
    again = [facts.kept.get((collection, row.key, row.mark)) for row in based]
    by_pk = {row["pk"]: row for row in again if row is not None}
    for line in tx.find("quarantine", {"pk": list(by_pk)}, columns=["pk", "payload"]) if by_pk else ():
        by_pk[line["pk"]]["payload"] = line["payload"]


def _too_old(tx: Tx, caller: Caller, collection: int) -> list[Row]:
    """EV6: what this device's app handed in before it was updated; nearly always there is nothing."""
    where = {"device": caller.device_pk, "reason": SchemaTooOld.code, "collection": collection}
    columns = ["pk", "id", "doc_id", "w"]
    return tx.find("quarantine", where | {"state": ["open", "discarded"]}, order=["pk"], columns=columns)


def load_parents(tx: Tx, facts: Facts, keys: AbstractSet[bytes]) -> None:
    """What waits hangs upon these: cases, of files also entries and visits; with all a decision may ask."""
    cases = facts.learn(tx.documents(Collection.cases, sorted(keys)))
    cases += _of_entries(tx, facts, keys)
    facts.learn(tx.documents(Collection.visits, sorted(keys)))
    load_cases(tx, facts, [*cases, *_masters(tx, facts, cases)])
    load_named_by_waiting(tx, facts)


def _cases(tx: Tx, facts: Facts, collection: int, rows: Sequence[PushRow], known: Sequence[Doc]) -> list[Doc]:
    """The cases in question: pushed themselves, hung upon, or masters of merged ones."""
    cases = [doc for doc in known if doc.collection == Collection.cases]
    wanted = case_keys(collection, rows)
    if wanted:
        cases += facts.learn(tx.documents(Collection.cases, sorted(wanted)))
    if collection == Collection.files:
        cases += _of_entries(tx, facts, wanted)
        facts.learn(tx.documents(Collection.visits, sorted(wanted)))
    above = {doc.case_pk for doc in known if doc.case_pk is not None}
    cases += facts.learn(tx.documents_by_pk(sorted(above - facts.by_pk.keys())))
    return cases + _masters(tx, facts, cases)


def _of_entries(tx: Tx, facts: Facts, keys: AbstractSet[bytes]) -> list[Doc]:
    """The cases of the entries among these owners of files, and those that such entries wait for."""
    entries = facts.learn(tx.documents(Collection.entries, sorted(keys)))
    above = {doc.case_pk for doc in entries if doc.case_pk is not None}
    found = facts.learn(tx.documents_by_pk(sorted(above - facts.by_pk.keys())))
    waiting = [
        content.whole(doc, facts.keys) for doc in entries if doc.own_since is not None and doc.gone is None
    ]
    wanted = {content.id_bytes(Collection.cases, str(values["case_id"])) for values in waiting}
    return found + facts.learn(tx.documents(Collection.cases, sorted(wanted)))


def _masters(tx: Tx, facts: Facts, cases: Sequence[Doc]) -> list[Doc]:
    """Where merged cases lead to."""
    found: list[Doc] = []
    merged = cases
    for _ in range(MERGED_HOPS):  # a case merged into one that was merged itself
        keys = masters(merged, facts)
        if not keys:
            break
        merged = facts.learn(tx.documents(Collection.cases, sorted(keys)))
        found += merged
    return found


def _captures(tx: Tx, facts: Facts, keys: Sequence[bytes], rows: Sequence[PushRow]) -> None:
    """Where the new cases of a batch lie, asked of the layer in one go, and the entries that waited for them."""
    locations = {
        row.key: row.doc["location"] for row in rows if row.fault is None and row.doc.get("location")
    }
    unknown = {key: value for key, value in locations.items() if (Collection.cases, key) not in facts.docs}
    facts.assigned = placing.assign_fixes(facts.config, unknown)
    told = {row.key: row.doc for row in rows if row.fault is None and row.doc.get("address")}
    if told:  # a case that is edited may have lost its fix, or got another address
        known = placing.assign_fixes(facts.config, {key: doc.get("location") for key, doc in told.items()})
        facts.addressed = addressed(tx, facts.config, told, known)
    push_cases.load_waiting(tx, facts, keys)
    entries = [doc.id for doc in facts.by_pk.values() if doc.collection == Collection.entries]
    if entries:
        push_cases.load_waiting(tx, facts, entries)  # files that wait for these
    load_named_by_waiting(tx, facts)


def load_named_by_waiting(reader: Reader, facts: Facts) -> None:
    """The entries that acts which still wait for their case speak of."""
    waiting = [doc for doc in facts.by_pk.values() if doc.own_since is not None and doc.gone is None]
    load_named(reader, facts, [content.whole(doc, facts.keys).get("body") for doc in waiting])


def _homes(tx: Tx, facts: Facts, collection: int, rows: Sequence[PushRow]) -> None:
    """The households that rows name; for visits also what was asked to be done there."""
    wanted = push_others.household_keys(rows)
    if not wanted:
        return
    homes = facts.learn(tx.documents(Collection.households, sorted(wanted)))
    if collection == Collection.visits:
        for task in tx.children([home.pk for home in homes], collection=Collection.tasks):
            facts.tasks.setdefault(task.case_pk or 0, []).append(task)
