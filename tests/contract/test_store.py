"""The contract of the store (``sync/store.py``), kept alike by SQLite and PostgreSQL: rules ST1–ST5, every method."""

from __future__ import annotations

import inspect
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs
from sqlalchemy import exc

from sync.errors import StoreUnavailable
from sync.sql_store import SqlReader, SqlStore, SqlTx
from sync.store import Reader, Tx
from sync.values import Collection, Doc, Head, Interval, Place

if TYPE_CHECKING:
    from collections.abc import Callable

WRITERS = 16


class Broken(Exception):
    """Stands for whatever may go wrong in the middle of a work."""


def doc(pk: int, **over: Any) -> Doc:
    """A case in the row's shape; `over` says what is particular about it."""
    seq = over.get("seq", pk)
    plain = Doc(
        pk=pk,
        collection=int(Collection.cases),
        id=uuid.UUID(int=pk).bytes,
        seq=seq,
        born=seq,
        gone=None,
        v=seq,
        cell=1,
        cell_since=seq,
        duty=None,
        duty_since=None,
        person=None,
        person_since=None,
        author=7,
        author_since=seq,
        klass=0,
        klass_since=seq,
        writer=7,
        entry_class=None,
        case_pk=None,
        link=None,
        own_since=None,
        history=False,
        w=f"{pk}:w",
        device=3,
        digest=b"d",
        status=1,
        code=None,
        dek=b"k",
        clear=b'"title":"\xe4\xb8\x89"',
        sealed=b"\x00\xff",
    )
    return structs.replace(plain, **over)


def put(store: SqlStore, *docs: Doc) -> None:
    store.write(lambda tx: tx.insert_documents(docs))


def series(store: SqlStore) -> dict[str, int]:
    with store.read() as reader:
        return {row["name"]: row["value"] for row in reader.find("series")}


# --- ST1: a read sees one snapshot -----------------------------------------------------------------------------------


def test_head_and_rows_of_a_read_belong_together_while_somebody_commits(store: SqlStore) -> None:
    put(store, doc(1, seq=1))
    with store.read() as reader:
        head = reader.head()

        def write(tx: Any) -> None:
            n = tx.number()
            tx.insert_documents([doc(2, seq=n)])
            tx.update("document", {"pk": 1}, {"seq": n})

        store.write(write)
        assert reader.head() == head
        assert [(d.pk, d.seq) for d in reader.documents_by_pk([1, 2])] == [(1, 1)]
    with store.read() as reader:
        assert reader.head().seq == head.seq + 1
        assert {(d.pk, d.seq) for d in reader.documents_by_pk([1, 2])} == {(1, 1), (2, 1)}


def test_without_a_snapshot_head_and_rows_fall_apart(store: SqlStore) -> None:
    """The positive control: two reads one after the other do see different states."""
    with store.read() as reader:
        before = reader.head().seq
    store.write(lambda tx: tx.number())
    with store.read() as reader:
        assert reader.head().seq != before


def test_what_is_not_committed_is_seen_by_nobody_but_its_writer(store: SqlStore) -> None:
    def write(tx: Any) -> None:
        tx.number()
        tx.put("series", {"name": "mine", "value": 1})
        assert tx.head().seq == 1
        assert tx.find("series") == [{"name": "mine", "value": 1}]
        with store.read() as reader:
            assert reader.head().seq == 0
            assert reader.find("series") == []

    store.write(write)
    assert series(store) == {"mine": 1}


def test_a_reader_cannot_write(store: SqlStore) -> None:
    with pytest.raises((StoreUnavailable, exc.DBAPIError)), store.read() as reader:
        SqlTx._run(reader, "update clock set seq = 99", ())  # type: ignore[arg-type]
    with store.read() as reader:
        assert reader.head().seq == 0
        assert not hasattr(reader, "insert")


# --- ST2: numbers ----------------------------------------------------------------------------------------------------


def test_sixteen_writers_take_every_number_once_and_in_the_order_of_their_commits(
    another: Callable[[], SqlStore],
) -> None:
    store = another()
    committed: list[int] = []
    guard = threading.Lock()

    def write(number: int) -> list[int]:
        def work(tx: Any) -> int:
            n = int(tx.number())
            with guard:
                committed.append(n)  # still under the lock that is held to the commit
            tx.put("series", {"name": f"{number}", "value": n})
            return n

        return [store.write(work) for _ in range(4)]

    with ThreadPoolExecutor(WRITERS) as pool:
        taken = [n for numbers in pool.map(write, range(WRITERS)) for n in numbers]
    assert sorted(taken) == list(range(1, WRITERS * 4 + 1))
    assert committed == sorted(committed)


def test_who_sees_a_number_sees_every_lower_one(another: Callable[[], SqlStore]) -> None:
    store, other = another(), another()
    entered, go_on = threading.Event(), threading.Event()

    def slow(tx: Any) -> None:
        tx.put("series", {"name": "slow", "value": tx.number()})
        entered.set()
        go_on.wait(30)

    def quick(tx: Any) -> None:
        tx.put("series", {"name": "quick", "value": tx.number()})

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(store.write, slow)
        entered.wait(30)
        second = pool.submit(other.write, quick)
        with store.read() as reader:  # the quick one has not passed the slow one
            assert reader.find("series") == []
        go_on.set()
        first.result()
        second.result()
    assert series(store) == {"slow": 1, "quick": 2}


def test_keys_of_documents_are_given_once(store: SqlStore) -> None:
    assert store.write(lambda tx: (tx.take_pks(3), tx.take_pks(2), tx.head().next_pk)) == (1, 4, 6)
    assert store.write(lambda tx: tx.take_pks(1)) == 6


def test_the_clock_row_tells_number_key_epoch_and_configuration(store: SqlStore) -> None:
    def write(tx: Any) -> None:
        assert tx.config_raised is False
        tx.advance(8, 50)
        tx.new_epoch(3)
        tx.raise_config()
        assert tx.config_raised is True

    store.write(write)
    with store.read() as reader:
        assert reader.head() == Head(seq=8, next_pk=50, epoch=3, config=1)


def test_making_the_tables_again_leaves_the_clock_alone(store: SqlStore) -> None:
    store.write(lambda tx: tx.number())
    store.create()
    with store.read() as reader:
        assert reader.head().seq == 1
        assert reader.find("epoch") == [{"epoch": 1, "restored_to": 0}]


# --- ST3, ST4: all or nothing, and a part that fails alone -----------------------------------------------------------


def test_a_work_that_fails_leaves_nothing(store: SqlStore) -> None:
    def write(tx: Any) -> None:
        tx.number()
        tx.take_pks(5)
        tx.raise_config()
        tx.insert_documents([doc(1)])
        tx.put("series", {"name": "a", "value": 1})
        raise Broken

    with pytest.raises(Broken):
        store.write(write)
    with store.read() as reader:
        assert reader.head() == Head(seq=0, next_pk=1, epoch=1, config=0)
        assert reader.find("series") == []
        assert reader.documents_by_pk([1]) == []


def test_after_a_failure_the_next_write_goes_through(store: SqlStore) -> None:
    for _ in range(12):  # more often than there are connections
        with pytest.raises(Broken):
            store.write(lambda tx: _fail())
    assert store.write(lambda tx: tx.number()) == 1


def _fail() -> None:
    raise Broken


def test_a_savepoint_that_fails_leaves_no_trace_and_its_neighbours_stay(store: SqlStore) -> None:
    def write(tx: Any) -> None:
        with tx.savepoint():
            tx.put("series", {"name": "before", "value": tx.number()})
        with suppress(Broken), tx.savepoint():
            tx.put("series", {"name": "lost", "value": tx.number()})
            tx.insert_documents([doc(9)])
            raise Broken
        with tx.savepoint():
            tx.put("series", {"name": "after", "value": tx.number()})

    store.write(write)
    assert series(store) == {"before": 1, "after": 2}
    with store.read() as reader:
        assert reader.head().seq == 2
        assert reader.documents_by_pk([9]) == []


def test_an_error_of_the_database_itself_ends_with_its_savepoint(store: SqlStore) -> None:
    """PostgreSQL refuses everything after an error until the part is rolled back."""
    put(store, doc(1))

    def write(tx: Any) -> None:
        with pytest.raises(exc.IntegrityError), tx.savepoint():
            tx.insert_documents([doc(1)])
        tx.put("series", {"name": "after", "value": 1})

    store.write(write)
    assert series(store) == {"after": 1}


def test_a_failed_savepoint_inside_another_leaves_the_outer_one(store: SqlStore) -> None:
    def write(tx: Any) -> None:
        with tx.savepoint():
            tx.put("series", {"name": "outer", "value": 1})
            with suppress(Broken), tx.savepoint():
                tx.put("series", {"name": "inner", "value": 1})
                raise Broken

    store.write(write)
    assert series(store) == {"outer": 1}


def test_another_process_finds_what_was_committed(another: Callable[[], SqlStore]) -> None:
    store = another()
    put(store, doc(1))
    store.close()
    with another().read() as reader:
        assert reader.documents_by_pk([1]) == [doc(1)]


# --- ST5: nothing is deleted -----------------------------------------------------------------------------------------


def test_the_contract_knows_no_delete() -> None:
    names = {name for half in (Reader, Tx, SqlReader, SqlTx) for name in dir(half)}
    assert not [name for name in names if "delete" in name or "remove" in name]


def test_both_halves_of_the_contract_are_there_in_full() -> None:
    for promised, kept in ((Reader, SqlReader), (Tx, SqlTx)):
        for name, method in inspect.getmembers(promised, inspect.isfunction):
            if not name.startswith("_"):
                wanted = list(inspect.signature(method).parameters)
                assert list(inspect.signature(getattr(kept, name)).parameters) == wanted, name


# --- the generic half ------------------------------------------------------------------------------------------------


@pytest.fixture
def counted(store: SqlStore) -> SqlStore:
    rows = [
        {"user_pk": user, "case_pk": case, "denied": denied, "v_from": case, "v_to": end}
        for user, case, denied, end in (
            (1, 10, False, None),
            (1, 11, True, 20),
            (2, 12, False, 30),
            (3, 13, False, 25),
        )
    ]
    store.write(lambda tx: tx.insert("naming", rows))
    return store


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({}, [10, 11, 12, 13]),
        ({"user_pk": 1}, [10, 11]),
        ({"user_pk": 1, "denied": True}, [11]),
        ({"v_to": None}, [10]),
        ({"user_pk": [2, 3]}, [12, 13]),
        ({"user_pk": (1,)}, [10, 11]),
        ({"user_pk": frozenset({9})}, []),
        ({"user_pk": []}, []),
        ({"v_to__gt": 20}, [12, 13]),
        ({"v_to__ge": 20}, [11, 12, 13]),
        ({"v_to__lt": 25}, [11]),
        ({"v_to__le": 25, "denied": False}, [13]),
    ],
)
def test_rows_are_found_by_equality_one_of_nothing_and_comparison(
    counted: SqlStore, where: dict[str, Any], found: list[int]
) -> None:
    with counted.read() as reader:
        assert [row["case_pk"] for row in reader.find("naming", where, order=["case_pk"])] == found


def test_rows_are_found_by_a_pattern(store: SqlStore) -> None:
    rows = [{"name": name, "value": 1} for name in ("矛2026", "矛2025", "诉2026")]
    store.write(lambda tx: tx.insert("series", rows))
    with store.read() as reader:
        found = reader.find("series", {"name__like": "矛%"}, order=["name"], columns=["name"])
    assert found == [{"name": "矛2025"}, {"name": "矛2026"}]


def test_rows_come_in_the_order_and_number_asked_for_with_the_columns_asked_for(counted: SqlStore) -> None:
    with counted.read() as reader:
        found = reader.find("naming", order=["user_pk", "-case_pk"], limit=3, columns=["case_pk", "denied"])
    assert [row["case_pk"] for row in found] == [11, 10, 12]
    assert all(row.keys() == {"case_pk", "denied"} for row in found)
    assert [bool(row["denied"]) for row in found] == [True, False, False]


@pytest.mark.parametrize("where", [{"nothing": 1}, {'user_pk" or 1=1 --': 1}, {"user_pk__almost": 1}])
def test_a_name_that_is_no_column_is_a_mistake_and_never_sql(
    counted: SqlStore, where: dict[str, Any]
) -> None:
    with counted.read() as reader, pytest.raises(KeyError):
        reader.find("naming", where)


def test_a_value_is_never_sql(counted: SqlStore) -> None:
    hostile = "'; drop table series; --"
    counted.write(lambda tx: tx.put("series", {"name": hostile, "value": 3}))
    with counted.read() as reader:
        assert reader.find("series", {"name": hostile}) == [{"name": hostile, "value": 3}]


def test_a_row_is_put_once_and_then_replaced(store: SqlStore) -> None:
    store.write(lambda tx: tx.put("case_clocks", {"case_pk": 4, "next_due": 9, "state": b"\x00\x01"}))
    store.write(lambda tx: tx.put("case_clocks", {"case_pk": 4, "next_due": None, "state": b"\xff"}))
    with store.read() as reader:
        assert [dict(r, state=bytes(r["state"])) for r in reader.find("case_clocks")] == [
            {"case_pk": 4, "next_due": None, "state": b"\xff"}
        ]


def test_a_row_added_tells_its_key(store: SqlStore) -> None:
    row = {"name": "office", "source": "x", "loaded_at": 1}
    first, second = store.write(lambda tx: (tx.add("calendar", row), tx.add("calendar", row)))
    assert second > first
    with store.read() as reader:
        assert [r["pk"] for r in reader.find("calendar", order=["pk"])] == [first, second]


def test_an_update_tells_how_many_rows_it_changed(counted: SqlStore) -> None:
    assert counted.write(lambda tx: tx.update("naming", {"user_pk": [1, 2]}, {"v_to": 99})) == 3
    assert counted.write(lambda tx: tx.update("naming", {"user_pk": 77}, {"v_to": 99})) == 0
    with counted.read() as reader:
        ended = reader.find("naming", {"v_to": 99}, order=["case_pk"], columns=["case_pk"])
    assert [row["case_pk"] for row in ended] == [10, 11, 12]


def test_inserting_nothing_is_nothing(store: SqlStore) -> None:
    def write(tx: Tx) -> None:
        tx.insert("series", [])
        tx.insert_documents([])
        tx.update_documents([])
        tx.bump([], 4)

    store.write(write)
    assert series(store) == {}


# --- documents -------------------------------------------------------------------------------------------------------


def test_a_document_comes_back_as_it_was_put(store: SqlStore) -> None:
    full = doc(
        1,
        gone=9,
        duty=4,
        duty_since=2,
        person=5,
        person_since=3,
        entry_class=2,
        case_pk=1,
        link=3,
        own_since=2,
        history=True,
        code="涧东矛〔2026〕000001",
    )
    empty = doc(
        2, cell=None, cell_since=None, author=None, author_since=None, w=None, device=None, digest=None
    )
    empty = structs.replace(empty, status=None, dek=None, clear=b"", sealed=None, writer=None)
    put(store, full, empty)
    with store.read() as reader:
        assert sorted(reader.documents_by_pk([2, 1, 99]), key=lambda d: d.pk) == [full, empty]
        assert reader.documents(Collection.cases, [full.id, uuid.UUID(int=99).bytes]) == [full]
        assert reader.documents(Collection.visits, [full.id]) == []
        assert reader.documents(Collection.cases, []) == []


def test_a_document_is_replaced_by_its_key_and_its_neighbours_stay(store: SqlStore) -> None:
    put(store, doc(1), doc(2))
    changed = doc(1, seq=8, v=8, clear=b"new", cell=3)
    store.write(lambda tx: tx.update_documents([changed]))
    with store.read() as reader:
        assert sorted(reader.documents_by_pk([1, 2]), key=lambda d: d.pk) == [changed, doc(2)]


def test_a_bump_changes_the_number_and_nothing_else(store: SqlStore) -> None:
    put(store, doc(1), doc(2))
    store.write(lambda tx: tx.bump([1], 40))
    with store.read() as reader:
        assert sorted(reader.documents_by_pk([1, 2]), key=lambda d: d.pk) == [
            structs.replace(doc(1), seq=40),
            doc(2),
        ]


def test_more_documents_than_one_statement_names_are_all_found(store: SqlStore) -> None:
    docs = [doc(pk) for pk in range(1, 1203)]
    put(store, *docs)
    with store.read() as reader:
        assert len(reader.documents_by_pk([d.pk for d in docs])) == len(docs)
        assert len(reader.documents(Collection.cases, [d.id for d in docs])) == len(docs)


def test_the_same_id_may_stand_in_two_collections_and_only_once_in_each(store: SqlStore) -> None:
    put(store, doc(1), doc(2, id=doc(1).id, collection=int(Collection.visits)))
    with pytest.raises(exc.IntegrityError):
        put(store, doc(3, id=doc(1).id))


def test_children_are_found_by_their_cases_in_the_order_of_their_keys(store: SqlStore) -> None:
    entries, files = int(Collection.entries), int(Collection.files)
    put(
        store,
        doc(5, collection=entries, case_pk=2),
        doc(3, collection=files, case_pk=1),
        doc(4, collection=entries, case_pk=1),
        doc(6, collection=entries, case_pk=9),
    )
    with store.read() as reader:
        assert [d.pk for d in reader.children([1, 2])] == [3, 4, 5]
        last = max(d.seq for d in reader.children([1, 2]))
        assert reader.children([1, 2], seq_over=last) == []
        assert {d.seq for d in reader.children([1, 2], seq_over=last - 1)} == {last}
        assert reader.documents_by_pk([3, 4, 5], seq_over=last) == []
        assert {d.seq for d in reader.documents_by_pk([3, 4, 5], seq_over=last - 1)} == {last}
        assert [d.pk for d in reader.children([1, 2], collection=entries)] == [4, 5]
        assert reader.children([]) == []


# --- keyset paging ---------------------------------------------------------------------------------------------------

_MANY = list(range(1, 31))  # more tags than are asked one by one


def _pages(reader: Any, tags: list[int], limit: int, **window: Any) -> list[tuple[int, int, int]]:
    """Every page, each begun where the one before ended; the keys in the order they came."""
    found: list[tuple[int, int, int]] = []
    after: tuple[int, int, int] | None = None
    while True:
        page = reader.tagged(Collection.cases, Place.cell, tags, after=after, limit=limit, **window)
        found += [(d.cell, d.seq, d.pk) for d in page]
        assert len(page) <= limit
        if len(page) < limit:
            return found
        after = found[-1]


@pytest.mark.parametrize("tags", [[1, 2, 3], _MANY], ids=["few", "many"])
@pytest.mark.parametrize("limit", [1, 2, 7, 500])
def test_documents_of_tags_come_page_by_page_in_order_each_once(
    store: SqlStore, tags: list[int], limit: int
) -> None:
    docs = [doc(pk, cell=1 + pk % 5, seq=100 + pk // 3) for pk in range(1, 61)]  # three share a number
    put(store, *docs)
    wanted = sorted((d.cell or 0, d.seq, d.pk) for d in docs if d.cell in tags)
    with store.read() as reader:
        assert _pages(reader, tags, limit, seq_over=0, seq_upto=None) == wanted
        cut = [key for key in wanted if 104 < key[1] <= 112]
        assert _pages(reader, tags, limit, seq_over=104, seq_upto=112) == cut


def test_a_tag_is_looked_for_in_its_own_column_only(store: SqlStore) -> None:
    put(
        store,
        doc(1, cell=5),
        doc(2, cell=None, duty=5, duty_since=1),
        doc(3, cell=None, person=5, person_since=1),
        doc(4, cell=None, author=5),
        doc(5, cell=None, author=5, author_since=None),  # his place has closed
        doc(6, cell=5, collection=int(Collection.visits)),
    )
    with store.read() as reader:
        found = {
            kind: [
                d.pk
                for d in reader.tagged(
                    Collection.cases, kind, [5], seq_over=0, seq_upto=None, after=None, limit=9
                )
            ]
            for kind in Place
        }
    assert found == {Place.cell: [1], Place.duty: [2], Place.person: [3], Place.author: [4]}


@pytest.mark.parametrize("tags", [[1, 2, 3], _MANY], ids=["few", "many"])
@pytest.mark.parametrize("limit", [1, 2, 5, 500])
def test_places_left_come_page_by_page_in_order_each_once(
    store: SqlStore, tags: list[int], limit: int
) -> None:
    rows = [
        Interval(doc_pk=pk, collection=0, kind=0, tag=1 + pk % 4, v_from=1, v_to=50 + pk // 3)
        for pk in range(1, 41)
    ]
    other = Interval(doc_pk=99, collection=1, kind=0, tag=1, v_from=1, v_to=55)
    store.write(
        lambda tx: tx.insert("closed_place", [structs.asdict(row) for row in [*reversed(rows), other]])
    )
    wanted = sorted((r.tag, r.v_to, r.doc_pk) for r in rows if r.tag in tags and r.v_to > 52)
    for upto in (None, 58):
        found: list[tuple[int, int, int]] = []
        after: tuple[int, int, int] | None = None
        while True:
            with store.read() as reader:
                page = reader.left(0, 0, tags, to_over=52, to_upto=upto, after=after, limit=limit)
            found += [(r.tag, r.v_to, r.doc_pk) for r in page]
            if len(page) < limit:
                break
            after = found[-1]
        assert found == [key for key in wanted if upto is None or key[1] <= upto]


def test_the_newest_come_first_and_the_next_page_begins_below(store: SqlStore) -> None:
    docs = [doc(pk, seq=10 + pk // 2, cell=pk % 3, status=pk % 2) for pk in range(1, 13)]
    put(store, *docs, doc(50, collection=int(Collection.visits)))
    newest = sorted(((d.seq, d.pk) for d in docs), reverse=True)
    with store.read() as reader:
        first = reader.recent(Collection.cases, below=None, limit=5)
        assert [(d.seq, d.pk) for d in first] == newest[:5]
        rest = reader.recent(Collection.cases, below=(first[-1].seq, first[-1].pk), limit=50)
        assert [(d.seq, d.pk) for d in rest] == newest[5:]
        here = reader.recent(Collection.cases, below=None, limit=50, place=(0, 2))
        assert {d.cell for d in here} == {2}
        assert {d.status for d in reader.recent(Collection.cases, below=None, limit=50, statuses=[1])} == {1}
        assert reader.recent(Collection.cases, below=None, limit=50, statuses=[]) == []


def test_the_past_of_documents_and_people_is_found(store: SqlStore) -> None:
    def write(tx: Any) -> None:
        tx.insert(
            "closed_place",
            [structs.asdict(Interval(1, 0, 0, 5, 2, 4)), structs.asdict(Interval(2, 0, 3, 7, 1, 3))],
        )
        tx.insert("closed_class", [{"doc_pk": 1, "klass": 1, "v_from": 2, "v_to": 6}])
        tx.insert(
            "naming",
            [
                {"user_pk": 7, "case_pk": 1, "denied": True, "v_from": 2, "v_to": None},
                {"user_pk": 8, "case_pk": 1, "denied": False, "v_from": 3, "v_to": 9},
                {"user_pk": 7, "case_pk": 2, "denied": False, "v_from": 4, "v_to": None},
            ],
        )

    store.write(write)
    with store.read() as reader:
        assert reader.closed_places([1, 3]) == [Interval(1, 0, 0, 5, 2, 4)]
        assert [(c.doc_pk, c.klass, c.v_from, c.v_to) for c in reader.closed_classes([1, 2])] == [
            (1, 1, 2, 6)
        ]
        assert {(n.user_pk, n.case_pk, n.denied) for n in reader.namings(users=[7])} == {
            (7, 1, True),
            (7, 2, False),
        }
        assert {(n.user_pk, n.case_pk, n.v_to) for n in reader.namings(cases=[1])} == {
            (7, 1, None),
            (8, 1, 9),
        }
        assert reader.closed_places([]) == []
        assert reader.namings() == []
