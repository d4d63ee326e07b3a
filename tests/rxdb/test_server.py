"""The same client, unmodified, against our server over HTTP: what goes wrong in ``test_findings.py`` does not here.

Every phone checks every document, tombstones too, against the published schema.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from server.errors import TooManyRequests
from sync import administration
from tests.http.town import CELLS, middle_of, new_id

if TYPE_CHECKING:
    from tests.rxdb.conftest import Served
    from tests.rxdb.phone import RxdbPhone

pytestmark = pytest.mark.rxdb

HERE, THERE = CELLS[0], CELLS[3]


def capture(**values: Any) -> dict[str, Any]:
    """A case as somebody types it; id and write id are the phone's own."""
    return {"kind": "request", "title": "路灯不亮", "captured_at": 1_800_000_000_000} | values


def sync(phone: RxdbPhone, *collections: str) -> None:
    for name in collections or ("cases",):
        phone("sync", name)


def no_errors(phone: RxdbPhone, collection: str = "cases") -> bool:
    return not phone("counts", collection)["errors"]


def test_a_row_that_cannot_be_read_holds_up_nothing_in_either_direction(district: Served) -> None:
    phone = district.phone("grid_worker", validate=False)
    dispatched = district.capture("clerk", HERE)
    good = [capture(title=f"第{n}件", location=middle_of(HERE)) for n in range(10)]
    bad: list[dict[str, Any]] = [
        {"kind": 7, "title": ["no", "text"]},
        {"kind": {"deep": {}}},
        {"kind": "request", "title": "半个字\ud83d", "captured_at": "yesterday"},
        {"kind": "request", "title": "长" * 300_000},
    ]
    phone("insert_at_once", documents=[*bad, *[doc | {"w": f"{n}:{new_id()}"} for n, doc in enumerate(good)]])
    sync(phone)
    held = phone.documents()
    assert dispatched in held
    titles = [doc["title"] for doc in held.values() if "title" in doc]
    assert {doc["title"] for doc in good} <= set(titles)
    assert len(held) == 15  # each unreadable one has a document that says so
    assert no_errors(phone)
    assert phone("counts")["failed"]["push"] == 0
    before = phone("counts")["begun"]["push"]
    sync(phone)
    assert phone("counts")["begun"]["push"] == before  # nothing is pushed again and again


def test_what_happens_elsewhere_does_not_keep_a_case_from_its_worker(district: Served) -> None:
    phone = district.phone("grid_worker")
    for _ in range(30):
        district.capture("grid_worker_2", THERE)
    sync(phone)
    assert phone.documents() == {}
    mine = district.capture("clerk", HERE)
    before = phone("counts")["begun"]["pull"]
    sync(phone)
    assert list(phone.documents()) == [mine]
    assert phone("counts")["begun"]["pull"] - before <= 2  # the page, and the empty one


@pytest.mark.parametrize("batch", [1, 2, 10, 100])
def test_forty_cases_arrive_whatever_the_client_asks_for_at_a_time(district: Served, batch: int) -> None:
    cases = {district.capture("clerk", HERE) for _ in range(40)}
    phone = district.phone("grid_worker", batch=batch)
    assert set(phone.documents()) == cases
    assert no_errors(phone)


def test_an_edit_of_a_case_that_was_moved_away_takes_it_off_the_phone_and_is_kept(district: Served) -> None:
    case = district.capture("clerk", HERE, description="canary-in-the-text")
    phone = district.phone("grid_worker")
    phone("fault", on="pull", faults=["hold_reply"])
    district.must_act("dispatcher", case, "set_place", cell=THERE, evidence="到过现场")
    phone("resync")
    phone("held")  # the page with the tombstone is under way
    phone("fault", on="push", faults=["hold_request"])
    phone("patch", id=case, values={"title": "canary-typed-meanwhile"})
    phone("held", count=2)
    phone("fault", on="pull", faults=["hold_request"])
    phone("release_one")
    phone("held", count=2)  # the next page is asked for: the tombstone was passed over
    assert case in phone.documents()
    phone("release")
    sync(phone)
    assert phone.documents() == {}
    assert "canary" not in phone("bones", ids=[case])["text"]
    kept = district.get("centre_director", "/api/v1/quarantine").json()
    assert case in str(kept)


def test_a_grant_that_ends_wipes_the_phone_and_one_that_begins_again_fills_it(district: Served) -> None:
    case = district.capture("clerk", HERE, description="canary-in-the-text")
    phone = district.phone("grid_worker")
    assert phone("bones", ids=[case])["text"].count("canary") == 2
    district.submit(administration.end_grant("grid_worker", "grid_worker", cell=HERE))
    sync(phone)
    assert phone.documents() == {}
    assert "canary" not in phone("bones", ids=[case])["text"]
    district.submit(administration.grant_role("grid_worker", "grid_worker", cell=HERE))
    sync(phone)
    assert phone.documents()[case]["description"] == "canary-in-the-text"
    assert phone("counts")["begun"]["push"] == 0  # nothing of it was pushed back
    assert no_errors(phone)


def test_the_stream_tells_that_there_is_news_and_never_what(district: Served) -> None:
    district.capture("clerk", HERE, title="canary-title")
    told: list[str] = []
    with district.client.stream("GET", "/sync/v1/stream", headers=district.bearer("grid_worker")) as stream:
        for line in stream.iter_lines():
            told.append(line)
            if line.startswith("data:"):
                break
    assert any("RESYNC" in line for line in told)
    assert "canary" not in "".join(told)


def test_an_entry_that_arrives_before_its_case_waits_and_is_linked(district: Served) -> None:
    phone = district.phone("grid_worker", "cases", "entries")
    phone("offline", "cases")
    (case,) = phone("insert", "cases", document=capture(location=middle_of(HERE)))["ids"]
    entry = {"case_id": case, "type": "note", "at": 1_800_000_000_000, "body": {"text": "先到的记录"}}
    (note,) = phone("insert", "entries", document=entry)["ids"]
    sync(phone, "entries")
    assert phone.documents("entries")[note]["parent_missing"] is True
    phone("online", "cases")
    sync(phone, "cases", "entries")
    assert "parent_missing" not in phone.documents("entries")[note]
    clerk = district.phone("clerk", "cases", "entries")
    assert case in clerk.documents("cases")
    assert clerk.documents("entries")[note]["body"]["text"] == "先到的记录"
    assert no_errors(phone, "entries")


def test_sixty_captures_pushed_side_by_side_are_sixty_cases(district: Served) -> None:
    phone = district.phone("grid_worker", pushBatch=10)
    phone("offline")
    documents = [capture(title=f"第{n}件", location=middle_of(HERE), w=f"{n}:{new_id()}") for n in range(60)]
    phone("insert_at_once", documents=documents)
    phone("fault", on="push", faults=["lose_reply", "twice", "lose_reply"])
    phone("online")
    sync(phone)
    clerk = district.phone("clerk")
    titles = sorted(doc["title"] for doc in clerk.documents().values())
    assert titles == sorted(doc["title"] for doc in documents)
    assert clerk.documents() == phone.documents()


def test_an_edit_on_a_stale_base_is_merged_and_not_refused(district: Served) -> None:
    phone = district.phone("grid_worker")
    (case,) = phone("insert", document=capture(kind="dispute", location=middle_of(HERE)))["ids"]
    sync(phone)
    phone("patch", id=case, values={"title": "first"})
    phone("settled")
    district.must_act(
        "clerk", case, "triage", category="0204", basis="lawful", risk="yellow", channel="grid"
    )  # the server's own
    phone("patch", id=case, values={"title": "second"})
    sync(phone)
    held = phone.documents()[case]
    assert held["title"] == "second"
    assert held["category"] == "0204"
    assert no_errors(phone)


def test_two_phones_edit_two_fields_and_both_end_with_both(district: Served) -> None:
    case = district.capture("clerk", HERE)
    one, other = district.phone("grid_worker"), district.phone("clerk")
    one("offline")
    one("patch", id=case, values={"address": "东门三号楼"})
    other("patch", id=case, values={"title": "楼道又堆满了"})
    sync(other)
    before = one("counts")["done"]["push"]
    one("online")
    sync(one)
    sync(other)
    held = one.documents()[case]
    assert (held["address"], held["title"]) == ("东门三号楼", "楼道又堆满了")
    assert one("counts")["done"]["push"] - before == 1  # adopted, not pushed back
    assert other.documents()[case] == held


def test_a_lost_reply_and_a_repeat_leave_one_effect(district: Served) -> None:
    phone = district.phone("grid_worker")
    phone("fault", on="push", faults=["lose_reply"])
    (case,) = phone("insert", document=capture(location=middle_of(HERE)))["ids"]
    sync(phone)
    before = district.district.head.seq
    phone("fault", on="push", faults=["twice"])
    phone("patch", id=case, values={"title": "once"})
    sync(phone)
    assert phone.documents()[case]["title"] == "once"
    assert district.district.head.seq == before + 1
    assert list(phone.documents()) == [case]


def test_all_eight_collections_replicate_side_by_side_with_their_published_schemas(district: Served) -> None:
    district.capture("clerk", HERE)
    names = ("cases", "entries", "visits", "households", "tasks", "files", "notices", "cells")
    phone = district.phone("grid_worker", *names, hook=False)
    for name in names:
        assert no_errors(phone, name), name
    assert HERE in phone.documents("cells")


def test_a_client_that_is_asked_to_wait_again_and_again_ends_with_everything(district: Served) -> None:
    """RxDB comes again after a time of its own, whatever ``Retry-After`` says (FL6)."""
    cases = {district.capture("clerk", HERE) for _ in range(20)}
    chance, admission = random.Random("waits"), district.admission
    let, waited = admission.budgets.admit, []

    def moody(device: tuple[str, int], now: int) -> None:
        if chance.random() < 0.4:
            waited.append(now)
            raise TooManyRequests(retry_after=30)
        let(device, now)

    admission.budgets.admit = moody  # type: ignore[method-assign]
    phone = district.phone("grid_worker", batch=3)
    for number in range(6):
        phone("insert", document=capture(title=f"第{number}件", location=middle_of(HERE)))
    sync(phone)
    held = phone.documents()
    assert len(held) == 26
    assert cases <= set(held)
    assert all("received_at" in doc for doc in held.values())
    assert len(waited) > 3
