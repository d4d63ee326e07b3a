"""What a decision is made from, loaded before it in the writing transaction."""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, field

from geo.assignment import Assignment
from sync.cases.lifecycle import Done
from sync.cases.phone_clocks import Contact
from sync.config import Config
from sync.spoiled import Failures
from sync.store import Reader, Row
from sync.values import Collection, Doc, Head, Keys, Level, Named
from sync.visibility import Relation, Sight, Viewer


class Facts(Struct):
    """Documents, histories, clocks and namings that one unit of work may need."""

    head: Head
    config: Config
    keys: Keys
    restored: int | None = None  # the lowest number a restore went back to; None: never restored
    collection: int = 0  # of the push under way
    entry_authors: dict[tuple[int, str], str] = field(
        default_factory=dict
    )  # by case and entry, for corrections
    tasks: dict[int, list[Doc]] = field(default_factory=dict)  # by case
    docs: dict[tuple[int, bytes], Doc] = field(default_factory=dict)
    by_pk: dict[int, Doc] = field(default_factory=dict)
    history: dict[int, list[Row]] = field(default_factory=dict)  # newest first
    clocks: dict[int, bytes] = field(default_factory=dict)
    namings: dict[int, list[Named]] = field(default_factory=dict)  # by case
    ledgered: set[tuple[int, str, str | None]] = field(default_factory=set)
    queue: dict[int, list[Row]] = field(default_factory=dict)  # open rows of the leaders' queue, by case
    series: dict[str, int] = field(default_factory=dict)
    waiting: dict[bytes, list[int]] = field(default_factory=dict)  # entries that came before their case
    let_go: set[int] = field(default_factory=set)  # entries that a person has decided shall wait no longer
    too_old: Sequence[
        Row
    ] = ()  # what this device's app of before its update handed in, and nobody has written since
    # Rows already in quarantine, by collection, key and mark; with their payload where the push brings a base.
    kept: dict[tuple[int, bytes, str], Row] = field(default_factory=dict)
    plans: dict[Any, tuple[bytes, int | None, list[dict[str, Any]]]] = field(default_factory=dict)
    births: dict[Any, Done] = field(default_factory=dict)  # by what the lifecycle reads of a capture
    assigned: dict[bytes, Assignment] = field(default_factory=dict)  # by the key of the pushed case
    addressed: dict[bytes, int] = field(
        default_factory=dict
    )  # the cell of its typed address, by the key of the case
    viewers: dict[int, Viewer] = field(default_factory=dict)
    sights: dict[tuple[int, int], Sight] = field(default_factory=dict)  # by viewer and collection
    clock_offset: int | None = None  # what the pushing phone's clock was wrong by at its last hello, ms
    contacts: Sequence[Contact] = ()  # what the clocks of the pushing device said before
    received: int = 0  # when this push came, by the later of the domain's clock and the real one
    failed: Failures = field(default_factory=dict)  # what is to be left, since it could not be decided

    def viewer(self, user_pk: int) -> Viewer:
        """The person as a viewer of the loaded cases."""
        if user_pk not in self.viewers:
            rows = [row for rows in self.namings.values() for row in rows if row.user_pk == user_pk]
            self.viewers[user_pk] = Viewer.of(user_pk, self.config.held(user_pk), rows)
        return self.viewers[user_pk]

    def level(self, user_pk: int, doc: Doc, extra: Sequence[Row] = (), ended: Sequence[Named] = ()) -> Level:
        """What the person sees of `doc` once this work is committed; `extra` are namings it opens, `ended` closes."""
        n = self.head.seq + 1
        viewer = self.viewer(user_pk)
        if not extra and not ended:
            sight = self.sights.get((user_pk, doc.collection))
            if sight is None:
                sight = self.sights[user_pk, doc.collection] = Sight(viewer, doc.collection, n)
            if (seen := sight.level(doc)) != Level.none:
                return seen
        case = doc.pk if doc.collection == Collection.cases else doc.case_pk
        closed = {row.pk for row in ended}
        fresh = [
            Named(0, row["user_pk"], row["case_pk"], row["denied"], row["v_from"], None)
            for row in extra
            if row["user_pk"] == user_pk and row["case_pk"] == case
        ]
        if case is not None and (fresh or closed):
            rows = [row for row in viewer.namings.get(case, ()) if row.pk not in closed]
            viewer = Viewer(viewer.user_pk, viewer.holds, viewer.namings | {case: (*rows, *fresh)})
        return Relation(viewer, doc).level(n)

    def learn(self, docs: Iterable[Doc]) -> list[Doc]:
        """Add documents; returns the new ones."""
        fresh = [doc for doc in docs if doc.pk not in self.by_pk]
        for doc in fresh:
            self.docs[doc.collection, doc.id] = doc
            self.by_pk[doc.pk] = doc
        return fresh


def load_cases(reader: Reader, facts: Facts, docs: Iterable[Doc]) -> None:
    """Everything a decision on these stored cases may ask: clocks, namings, open rows of the leaders' queue."""
    pks = sorted({doc.pk for doc in docs if doc.collection == Collection.cases})
    if not pks:
        return
    for row in reader.find("case_clocks", {"case_pk": pks}, columns=["case_pk", "state"]):
        facts.clocks[row["case_pk"]] = row["state"]
    for named in reader.namings(cases=pks):
        facts.namings.setdefault(named.case_pk, []).append(named)
    for task in reader.children(pks, collection=Collection.tasks):
        facts.tasks.setdefault(task.case_pk or 0, []).append(task)
    for row in reader.find("escalation", {"case_pk": pks}, order=["pk"]):
        facts.queue.setdefault(row["case_pk"], []).append(row)


def load_history(reader: Reader, facts: Facts, docs: Iterable[Doc]) -> None:
    """Who wrote which field last, and which writes were applied."""
    pks = [doc.pk for doc in docs]
    if not pks:
        return
    columns = ["doc_pk", "seq", "at", "actor", "by_device", "w", "device", "digest", "fields"]
    if facts.restored is not None:
        columns.append("delta")  # asked by RC6 alone
    for row in reader.find("change", {"doc_pk": pks}, order=["-seq", "-pk"], columns=columns):
        facts.history.setdefault(row["doc_pk"], []).append(row)
    for line in reader.find("ledger", {"doc_pk": pks}, columns=["doc_pk", "field", "w"]):
        facts.ledgered.add((line["doc_pk"], line["field"], line["w"]))
