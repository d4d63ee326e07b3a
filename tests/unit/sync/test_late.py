"""PU13: what a stopped phone still holds is kept for the centre, changes nothing, and is answered by tombstones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from sync.push import push_work
from sync.values import Collection
from tests.unit.sync.district import HOME

if TYPE_CHECKING:
    from tests.unit.sync.district import District


def hand_in(district: District, collection: str, *docs: dict[str, Any]) -> list[dict[str, Any]]:
    """What the stopped phone of an pushes; the answer."""
    body = json.dumps([{"newDocumentState": doc} for doc in docs], ensure_ascii=False)
    return hand_in_bytes(district, collection, body.encode())


def hand_in_bytes(district: District, collection: str, body: bytes) -> list[dict[str, Any]]:
    caller = structs.replace(district.caller("an", "phone-an"), late=True)
    answer: list[dict[str, Any]] = json.loads(
        district.commit(push_work(caller, Collection[collection], body))
    )
    return answer


def test_a_capture_of_a_stopped_phone_is_kept_and_no_case(district: District) -> None:
    sent = district.phone("an").new(title="三楼漏水")
    (told,) = hand_in(district, "cases", sent)
    assert (told["id"], told["_deleted"], "title" in told) == (sent["id"], True, False)
    assert district.documents("cases") == []
    (kept,) = district.kept_aside()
    assert (kept["reason"], kept["doc_id"], kept["content"]["new"]) == ("device_revoked", sent["id"], sent)
    assert [notice["code"] for notice in district.notices_of("an", "kept_aside")] == ["device_revoked"]


def test_an_edit_of_a_stopped_phone_changes_nothing_and_brings_no_document(district: District) -> None:
    case = district.phone("an").capture(title="甲")
    (told,) = hand_in(district, "cases", case | {"title": "乙", "w": "9:x"})
    assert (told["_deleted"], "title" in told, "status" in told) == (True, False, False)
    assert district.whole("cases", case["id"])["title"] == "甲"
    assert district.kept_aside(doc_id=case["id"])[0]["content"]["new"]["title"] == "乙"


def test_what_the_server_had_before_the_phone_was_stopped_is_kept_no_second_time(district: District) -> None:
    an = district.phone("an")
    sent = an.new()
    an.push("cases", sent)
    for _ in range(2):
        (told,) = hand_in(district, "cases", sent)
        assert told["_deleted"]
    assert district.kept_aside() == []
    other = an.new()
    for _ in range(3):
        hand_in(district, "cases", other)
    assert len(district.kept_aside()) == 1
    assert len(district.notices_of("an")) == 1


def test_an_act_of_a_stopped_phone_is_not_done(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    entry = an.entry(case["id"], "act", {"act": "triage", "args": {}, "seen_status": "submitted"})
    (told,) = hand_in(district, "entries", entry)
    assert told["_deleted"]
    assert district.entries_of(case["id"], "act") == []
    assert [row["reason"] for row in district.kept_aside()] == ["device_revoked"]


@pytest.mark.parametrize("collection", [item.name for item in Collection])
def test_of_no_collection_a_document_comes_back(district: District, collection: str) -> None:
    held = district.phone("an").pull(collection)
    row = {"id": HOME} if collection == "cells" else district.phone("an").new(text="x")
    sent = [*held.values(), row]
    answer = hand_in(district, collection, *sent)
    assert {doc["id"] for doc in answer} == {doc["id"] for doc in sent}
    assert all(doc["_deleted"] for doc in answer)
    assert {row["reason"] for row in district.kept_aside()} == {"device_revoked"}


def test_what_nobody_can_read_is_kept_too(district: District) -> None:
    deep = "[" * 40 + "]" * 40
    identity = district.phone("an").new()["id"]
    body = f'[{{"newDocumentState": 5}}, {{"newDocumentState": {{"id": "{identity}", "title": {deep}}}}}]'
    assert [doc["id"] for doc in hand_in_bytes(district, "cases", body.encode())] == [identity]
    assert [row["reason"] for row in district.kept_aside()] == ["device_revoked"] * 2
    assert district.documents("cases") == []
