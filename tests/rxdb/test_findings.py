"""What an unmodified RxDB does, shown against a toy master in its own process: the reasons for the protocol.

When a new RxDB behaves otherwise, the scenario that fails names the rule of the protocol that rested on it.
The other half, our server and the same client, is ``test_server.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sync.values import Collection

if TYPE_CHECKING:
    from tests.rxdb.phone import RxdbPhone

pytestmark = pytest.mark.rxdb


def numbered(count: int, **values: Any) -> list[dict[str, Any]]:
    return [{"id": f"doc-{n:03}", "n": n, **values} for n in range(count)]


def toy(phone: RxdbPhone, **options: Any) -> None:
    phone("open", remote="toy", **options)
    phone("settled")


def test_a_push_handler_that_throws_for_one_row_stops_the_phone_in_both_directions(phone: RxdbPhone) -> None:
    toy(phone)
    phone("toy_push", behaviour={"kind": "throw_on", "id": "poison"})
    phone("insert_at_once", documents=[{"id": "poison"}, *numbered(10)])
    phone("toy_put", documents=[{"id": "dispatched"}])
    phone("resync")
    phone("until", on="push", stage="failed", count=5)  # it tries for ever
    assert phone("counts")["done"]["push"] == 0
    assert "dispatched" not in phone.documents()  # nothing comes down while the push is open
    assert [doc["id"] for doc in phone("toy_dump")["documents"]] == [
        "dispatched"
    ]  # and none of the good rows went up


def test_an_empty_page_does_not_carry_the_checkpoint_forward(phone: RxdbPhone) -> None:
    phone("open", remote="toy", replicate=True)
    phone("settled")
    phone("toy_pull", behaviour={"kind": "window", "width": 10})
    phone("toy_put", documents=[*numbered(10, mine=False), {"id": "mine", "mine": True}])
    for _ in range(5):
        phone("sync")
    assert phone.documents() == {}  # the window without a document of mine is asked for ever again
    assert {str(asked) for kind, asked, _ in phone("counts")["seen"] if kind == "pull"} == {"None"}


def test_a_page_shorter_than_the_batch_ends_the_pull_and_a_longer_one_does_not(phone: RxdbPhone) -> None:
    toy(phone, batch=10)
    phone("toy_pull", behaviour={"kind": "log", "sizes": [9]})
    phone("toy_put", documents=numbered(40))
    phone("sync")
    assert len(phone.documents()) == 9
    phone("toy_pull", behaviour={"kind": "log", "size": 30})
    phone("sync")
    assert len(phone.documents()) == 40
    pages = [len(ids) for kind, _, ids in phone("counts")["seen"] if kind == "pull" and ids]
    assert pages == [9, 30, 1]


def test_with_a_batch_of_one_the_server_sizes_the_pages_and_only_an_empty_one_ends_the_pull(
    phone: RxdbPhone,
) -> None:
    toy(phone, batch=1)
    before = phone("counts")["begun"]["pull"]
    phone("toy_pull", behaviour={"kind": "log", "sizes": [7, 3, 1, 50, 12]})
    phone("toy_put", documents=numbered(73))
    phone("sync")
    assert len(phone.documents()) == 73
    assert phone("counts")["begun"]["pull"] - before == 6


def test_a_pulled_tombstone_is_dropped_while_an_edit_waits_and_the_checkpoint_still_goes_on(
    phone: RxdbPhone,
) -> None:
    toy(phone)
    phone("toy_put", documents=[{"id": "case", "secret": "canary"}])
    phone("sync")
    phone("toy_push", behaviour={"kind": "silent"})
    phone("fault", on="push", faults=["hold_request"])
    phone("fault", on="pull", faults=["hold_reply"])
    phone("toy_put", documents=[{"id": "case", "_deleted": True, "secret": ""}])
    phone("resync")
    phone("held", count=1)  # the page with the tombstone is under way
    phone("patch", id="case", values={"text": "typed meanwhile"})
    phone("held", count=2)  # the edit is under way as well
    phone("fault", on="pull", faults=["hold_request"])
    phone("release_one")
    phone("held", count=2)  # the next page is asked for: the one before was taken
    phone("release")
    phone("sync")
    assert phone.documents()["case"]["secret"] == "canary"  # the silent answer left it here for ever
    asked = [checkpoint for kind, checkpoint, _ in phone("counts")["seen"] if kind == "pull"]
    assert asked[-1] == {"seq": 2}


def test_a_tombstone_in_the_answer_to_a_push_takes_the_case_off_the_phone(phone: RxdbPhone) -> None:
    toy(phone)
    phone("toy_put", documents=[{"id": "case", "secret": "canary"}])
    phone("sync")
    phone(
        "toy_push",
        behaviour={"kind": "answer", "documents": [{"id": "case", "_deleted": True, "secret": ""}]},
    )
    phone("patch", id="case", values={"text": "typed"})
    phone("sync")
    assert phone.documents() == {}
    assert phone("counts")["begun"]["push"] == 1  # adopted, not pushed back


def test_a_tombstone_wipes_the_content_from_both_copies_and_a_later_grant_brings_it_back(
    phone: RxdbPhone,
) -> None:
    toy(phone)
    phone("toy_put", documents=[{"id": "case", "secret": "canary"}])
    phone("sync")
    assert (
        phone("bones", ids=["case"])["text"].count("canary") == 2
    )  # the document and the copy of the master
    phone("toy_put", documents=[{"id": "case", "_deleted": True, "secret": ""}])
    phone("sync")
    assert phone.documents() == {}
    assert "canary" not in phone("bones", ids=["case"])["text"]
    assert phone("counts")["begun"]["push"] == 0
    phone("toy_put", documents=[{"id": "case", "secret": "canary again"}])
    phone("sync")
    assert phone.documents()["case"]["secret"] == "canary again"


def test_documents_on_the_stream_lose_what_one_lost_event_carried(phone: RxdbPhone) -> None:
    toy(phone)
    phone("toy_put", documents=[{"id": "one"}, {"id": "two"}, {"id": "three"}])
    phone("fault", on="pull", faults=["hold_request"])
    phone("emit", documents=[{"id": "one", "_deleted": False}], checkpoint={"seq": 1})
    phone("settled")
    # the event of `two` is lost on the way
    phone("emit", documents=[{"id": "three", "_deleted": False}], checkpoint={"seq": 3})
    phone("settled")
    phone("resync")
    phone("held")
    phone("release")
    phone("sync")
    assert sorted(phone.documents()) == ["one", "three"]


def test_pushes_run_side_by_side_so_an_entry_can_arrive_before_its_case(phone: RxdbPhone) -> None:
    phone("open", remote="toy", pushBatch=10)
    phone("settled")
    phone("offline")
    phone("insert_at_once", documents=numbered(60))
    phone("online")
    phone("sync")
    assert phone("counts")["together"] > 1


def test_what_the_phone_takes_for_the_master_is_only_a_hint(phone: RxdbPhone) -> None:
    toy(phone)
    phone("toy_put", documents=[{"id": "case", "title": "server", "rev": 1}])
    phone("sync")
    phone("toy_push", behaviour={"kind": "compare"})
    phone("patch", id="case", values={"title": "first"})
    phone("settled")
    phone(
        "toy_put", documents=[{**phone("toy_dump")["documents"][0], "rev": 7}]
    )  # the server counts on its own
    phone("patch", id="case", values={"title": "second"})
    phone("settled")
    # a server that compares the base with its row refuses an edit nobody else touched, and the text is gone
    assert phone.documents()["case"]["title"] == "first"
    assert phone("toy_dump")["documents"][0]["title"] == "first"


def test_a_document_merged_by_the_server_is_adopted_at_once_and_not_pushed_back(phone: RxdbPhone) -> None:
    toy(phone)
    phone("toy_put", documents=[{"id": "case", "title": "", "address": "", "rev": 1}])
    phone("sync")
    phone("toy_push", behaviour={"kind": "merge"})
    phone("toy_put", documents=[{"id": "case", "title": "", "address": "another's edit", "rev": 2}])
    phone("patch", id="case", values={"title": "mine"})
    phone("settled")
    held = phone.documents()["case"]
    assert (held["title"], held["address"], held["rev"]) == ("mine", "another's edit", 3)
    assert phone("counts")["begun"]["push"] == 1


def test_a_pulled_document_without_a_required_field_keeps_the_page_coming_for_ever(phone: RxdbPhone) -> None:
    schema = {
        "version": 0,
        "primaryKey": "id",
        "type": "object",
        "properties": {"id": {"type": "string", "maxLength": 100}, "status": {"type": "string"}},
        "required": ["id", "status"],
    }
    phone("open", remote="toy", schema=schema, validate=True, hook=False)
    phone("settled")
    phone("toy_put", documents=[{"id": "case", "status": "received"}, {"id": "bare"}])
    for _ in range(3):
        phone("sync")
    counts = phone("counts")
    assert [code for code, _ in counts["errors"]].count("RC_PULL") >= 3
    asked = [str(checkpoint) for kind, checkpoint, ids in counts["seen"] if kind == "pull" and ids]
    assert len(asked) > len(set(asked))


def test_a_checkpoint_key_that_is_left_out_survives_on_the_phone(phone: RxdbPhone) -> None:
    toy(phone)
    phone("toy_pull", behaviour={"kind": "forgetful", "size": 1})
    phone("toy_put", documents=numbered(3))
    phone("sync")
    asked = [checkpoint for kind, checkpoint, _ in phone("counts")["seen"] if kind == "pull"]
    assert asked[-1] == {"seq": 3, "half": 1}  # the server spoke of `half` only once


def test_the_free_edition_is_at_its_end_with_thirteen_collections_and_we_have_eight(phone: RxdbPhone) -> None:
    answer = phone("collections", count=15)
    assert (answer["opened"], answer["code"]) == (14, "COL23")  # beyond 13 it first waits, then refuses
    assert len(Collection) == 8
