"""The one door: works that share a transaction, the audit chain, and a configuration that nobody has committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sync import administration, commit as commits
from sync.commit import audit_hash, commit_group
from sync.config import ConfigCache
from sync.errors import Conflict
from sync.push import push_work
from sync.values import Collection
from tests.unit.sync.district import DISTRICT, HOME, District

if TYPE_CHECKING:
    from collections.abc import Callable

    from sync.commit import Context
    from sync.store import Tx


class Broken(Exception):
    """An error that is nobody's fault but the work's own."""


def named(name: str) -> Callable[[Tx, Context], int]:
    """A work that leaves a row and takes a number."""

    def work(tx: Tx, context: Context) -> int:
        n = tx.number()
        tx.put("series", {"name": name, "value": n})
        return n

    return work


def breaking(error: Exception, times: list[int]) -> Callable[[Tx, Context], int]:
    def work(tx: Tx, context: Context) -> int:
        times.append(named("broken")(tx, context))
        raise error

    return work


def group(district: District, *works: Any) -> list[Any]:
    return commit_group(district.store, [(work, district.context()) for work in works])


def series(district: District) -> set[str]:
    return {row["name"] for row in district.rows("series")}


# --- works that share a transaction ----------------------------------------------------------------------------------


def test_a_work_that_is_refused_leaves_its_neighbours_untouched(district: District) -> None:
    times: list[int] = []
    first, broken, last = group(district, named("a"), breaking(Conflict("nein"), times), named("b"))
    assert (first.result() + 1, series(district)) == (last.result(), {"a", "b"})
    with pytest.raises(Conflict):
        broken.result()
    assert len(times) == 1  # a refusal is an answer: it is not tried again


def test_a_work_that_breaks_is_tried_again_alone_and_its_error_is_its_own(district: District) -> None:
    times: list[int] = []
    first, broken, last = group(district, named("a"), breaking(Broken(), times), named("b"))
    assert (first.error, last.error) == (None, None)
    assert isinstance(broken.error, Broken)
    assert len(times) == 2
    assert series(district) == {"a", "b"}


def test_a_work_that_breaks_only_in_company_succeeds_alone(district: District) -> None:
    times: list[int] = []

    def shy(tx: Tx, context: Context) -> int:
        times.append(1)
        if len(times) == 1:
            raise Broken
        return named("shy")(tx, context)

    outcomes = group(district, named("a"), shy)
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert series(district) == {"a", "shy"}


def test_pushes_of_several_phones_share_a_transaction(district: District) -> None:
    import json

    works = []
    for name in ("an", "bo", "cui"):
        phone = district.phone(name)
        body = json.dumps([{"newDocumentState": phone.new()}]).encode()
        works.append(push_work(district.caller(name, phone.device), Collection.cases, body))
    times: list[int] = []
    outcomes = group(district, works[0], breaking(Broken(), times), works[1], works[2])
    assert [outcome.error is None for outcome in outcomes] == [True, False, True, True]
    born = sorted(district.row("cases", case["id"]).born for case in district.documents("cases"))
    assert len(set(born)) == 3  # each with a number of its own
    assert len(district.rows("audit")) == len({row["hash"] for row in district.rows("audit")})


def test_a_batch_with_nothing_to_write_takes_no_number(district: District) -> None:
    with district.store.read() as reader:
        before = reader.head().seq
    district.phone("an").push_rows("cases", [])
    with district.store.read() as reader:
        assert reader.head().seq == before


# --- the audit chain -------------------------------------------------------------------------------------------------

_TOLD = ("seq", "at", "actor", "action", "touched")


def broken_links(district: District) -> list[int]:
    """Records whose hash does not follow from the one before."""
    broken, former = [], b""
    for row in sorted(district.rows("audit"), key=lambda row: row["pk"]):
        if audit_hash(former, {name: row[name] for name in _TOLD}) != row["hash"]:
            broken.append(row["pk"])
        former = row["hash"]
    return broken


def test_the_chain_holds_and_breaks_where_a_record_was_altered(district: District) -> None:
    an = district.phone("an")
    an.edit(an.capture(), title="改")
    assert broken_links(district) == []
    victim = district.rows("audit")[-2]
    district.store.write(lambda tx: tx.update("audit", {"pk": victim["pk"]}, {"actor": "somebody else"}))
    assert broken_links(district) == [victim["pk"]]


def test_the_chain_breaks_where_a_record_was_taken_out(district: District) -> None:
    an = district.phone("an")
    an.edit(an.capture(), title="改")
    rows = sorted(district.rows("audit"), key=lambda row: row["pk"])
    with district.store.engine.connect() as connection:
        connection.exec_driver_sql("delete from audit where pk = ?", (rows[-2]["pk"],))
    assert broken_links(district) == [rows[-1]["pk"]]


def test_a_chain_that_does_not_cover_the_record_before_would_not_notice(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bug: each record hashed by itself."""
    import sys

    plain = commits.audit_hash
    monkeypatch.setattr(commits, "audit_hash", lambda _former, record: plain(b"", record))
    monkeypatch.setattr(sys.modules[__name__], "audit_hash", commits.audit_hash)
    an = district.phone("an")
    first = len(district.rows("audit"))
    an.edit(an.capture(), title="改")
    rows = sorted(district.rows("audit"), key=lambda row: row["pk"])[first:]
    with district.store.engine.connect() as connection:
        connection.exec_driver_sql("delete from audit where pk = ?", (rows[0]["pk"],))
    assert rows[-1]["pk"] not in broken_links(district)


def test_each_request_that_writes_leaves_one_record_without_personal_values(district: District) -> None:
    an = district.phone("an")
    before = len(district.rows("audit"))
    parties = [{"id": "p1", "role": "applicant", "name": "欧阳晓燕", "phone": "13987654321"}]
    an.push_rows("cases", [{"newDocumentState": an.new(parties=parties)} for _ in range(20)])
    (record,) = district.rows("audit")[before:]
    assert record["action"] == "push:cases"
    assert "-" in record["touched"]  # a batch is a range, not twenty words
    assert "欧阳" not in str(record)
    assert "139876" not in str(record)


# --- the configuration -----------------------------------------------------------------------------------------------


def raise_to(district: District, version: int) -> None:
    """Somebody else changes the configuration until it has the version number of the one rolled back."""
    while True:
        with district.store.read() as reader:
            if reader.head().config == version:
                return
        district.store.write(lambda tx: tx.raise_config())


def test_a_configuration_that_was_rolled_back_is_served_to_nobody(district: District) -> None:
    """Its version number is used again by the next change: a cache would never notice."""

    def grants_and_fails(tx: Tx, context: Context) -> None:
        administration.grant_role("cui", "grid_worker", cell=HOME)(tx, context)
        assert "grid_worker" in context.configs.get(tx).roles_at(district.users["cui"], district.cells[HOME])
        reached.append(tx.head().config)
        raise Conflict

    reached: list[int] = []
    case = district.phone("an").capture()
    with pytest.raises(Conflict):
        district.commit(grants_and_fails)
    raise_to(district, reached[0])
    assert "grid_worker" not in district.config().roles_at(district.users["cui"], district.cells[HOME])
    assert district.phone("cui").pull("cases") == {}
    assert case["id"]


def test_a_cache_that_kept_it_would_serve_a_right_nobody_has(district: District) -> None:
    """The planted bug: whatever was read is kept."""

    def grants_and_fails(tx: Tx, context: Context) -> None:
        administration.grant_role("cui", "grid_worker", cell=HOME)(tx, context)
        tx.config_raised = False
        reached.append(context.configs.get(tx).version)
        raise Conflict

    reached: list[int] = []
    with pytest.raises(Conflict):
        district.commit(grants_and_fails)
    raise_to(district, reached[0])
    assert "grid_worker" in district.config().roles_at(district.users["cui"], district.cells[HOME])


def test_the_configuration_is_read_again_only_when_it_has_changed(district: District) -> None:
    first = district.config()
    district.phone("an").capture()
    assert district.config() is first
    district.grant("an", "grid_worker", cell=HOME)  # he has it already
    assert district.config() is first
    district.end_grant("an")
    assert district.config() is not first
    assert district.config().index is first.index  # the cells are the same: their index is not built again


def test_two_processes_each_notice_what_the_other_changed(district: District) -> None:
    other = ConfigCache(DISTRICT)
    with district.store.read() as reader:
        before = other.get(reader)
    district.end_grant("an")
    with district.store.read() as reader:
        assert other.get(reader) is not before
        assert other.get(reader).active_grants(district.users["an"]) == []
