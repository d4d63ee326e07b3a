"""The client library against our server: what a whole client does beyond an unmodified RxDB.

Every document, tombstones too, is checked against the schema of the version that the phone speaks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sync import administration
from sync.values import Collection
from tests.http.town import CELLS, middle_of, new_id

if TYPE_CHECKING:
    from tests.rxdb.conftest import Served
    from tests.rxdb.phone import RxdbPhone

pytestmark = pytest.mark.rxdb

HERE, THERE = CELLS[0], CELLS[3]


def capture(**values: Any) -> dict[str, Any]:
    return {"kind": "request", "title": "路灯不亮", "captured_at": 1_800_000_000_000} | values


def held(phone: RxdbPhone, collection: str = "cases") -> dict[str, dict[str, Any]]:
    return phone.documents(collection)


def spoiled(**pages: Any) -> dict[str, Any]:
    """Pages on their way into a store that loses documents, keeps old ones, or misses tombstones."""
    return {"collection": "cases", "drop": [], "stale": [], "tombstones": False} | pages


def no_errors(phone: RxdbPhone) -> bool:
    return not phone("log")["errors"]


def test_eight_collections_replicate_and_a_write_has_an_id_of_its_own(district: Served) -> None:
    known = district.capture("clerk", HERE)
    phone = district.whole_phone("grid_worker")
    (case,) = phone("insert", documents=[capture(location=middle_of(HERE))])["ids"]
    phone("patch", id=case, values={"title": "路灯不亮三天"})
    phone("sync")
    cases = held(phone)
    assert set(cases) == {known, case}
    assert cases[case]["title"] == "路灯不亮三天"
    assert cases[case]["w"].partition(":")[0].isdigit()
    assert HERE in held(phone, "cells")
    assert phone("unsent")["unsent"] == 0
    assert no_errors(phone)
    assert {schema for _, schema, _ in phone("log")["requests"]} == {"2"}


def test_an_entry_never_overtakes_its_case(district: Served) -> None:
    phone = district.whole_phone("grid_worker", "cases", "entries")
    phone("offline")
    (case,) = phone("insert", documents=[capture(location=middle_of(HERE))])["ids"]
    entry = {"case_id": case, "type": "note", "at": 1_800_000_000_000, "body": {"text": "到过现场"}}
    notes = phone("insert", "entries", documents=[entry] * 5)["ids"]
    phone("online")
    phone("sync")
    assert [held(phone, "entries")[note].get("parent_missing") for note in notes] == [None] * 5


def test_parallel_pushes_of_a_device_are_one_after_the_other(district: Served) -> None:
    phone = district.whole_phone("grid_worker", "cases", pushBatch=5)
    phone("offline")
    documents = [capture(title=f"第{n}件", location=middle_of(HERE)) for n in range(60)]
    phone("insert", documents=documents)
    phone("online")
    phone("sync")
    clerk = district.whole_phone("clerk", "cases")
    assert held(clerk) == held(phone)
    assert len(held(phone)) == 60


def test_a_scope_that_changes_while_an_edit_is_unsent_takes_the_case_and_keeps_the_edit(
    district: Served,
) -> None:
    case = district.capture("clerk", HERE)
    phone = district.whole_phone("grid_worker", "cases", "notices")
    phone("offline")
    phone("patch", id=case, values={"title": "canary-typed-meanwhile"})
    district.must_act("dispatcher", case, "set_place", cell=THERE, evidence="到过现场")
    assert phone("unsent")["unsent"] == 1
    phone("online")
    phone("sync")
    assert held(phone) == {}
    (kept,) = district.get("centre_director", "/api/v1/quarantine").json()["items"]
    assert kept["doc_id"] == case
    (notice,) = held(phone, "notices").values()
    assert notice["kind"] == "kept_aside"
    phone("mark_read", id=notice["id"])
    phone("sync")
    assert held(phone, "notices")[notice["id"]]["read_at"] is not None
    assert no_errors(phone)


def test_a_spent_token_is_exchanged_and_nothing_is_asked_of_the_person(district: Served) -> None:
    phone = district.whole_phone("grid_worker", "cases")
    phone("spoil_token")
    (case,) = phone("insert", documents=[capture(location=middle_of(HERE))])["ids"]
    phone("sync")
    assert held(phone)[case]["status"] == "submitted"
    assert "signed_out" not in phone("log")["standing"]
    refreshes = [path for path, _, _ in phone("log")["requests"] if path.endswith("/refresh")]
    assert len(refreshes) == 1


def test_what_happens_elsewhere_arrives_by_a_poke(district: Served) -> None:
    phone = district.whole_phone("grid_worker", "cases")
    phone("until_poked", count=1)  # the stream says at its beginning that there may be news
    before = phone("log")["pokes"]
    case = district.capture("clerk", HERE)
    phone("until_poked", count=before + 1)
    phone("sync")
    assert case in held(phone)
    paths = [path for path, _, _ in phone("log")["requests"]]
    assert "/sync/v1/ticket" in paths


def test_a_batch_the_server_finds_too_large_is_cut_until_it_fits(district: Served) -> None:
    phone = district.whole_phone("grid_worker", "cases")
    phone("offline")
    long = [capture(title=f"第{n}件", description="长" * 3_900, location=middle_of(HERE)) for n in range(400)]
    phone("insert", documents=long)
    phone("online")
    phone("sync")
    assert len(held(phone)) == 400
    bodies = [size for path, _, size in phone("log")["requests"] if path.endswith("/push")]
    assert len(bodies) > 1
    assert no_errors(phone)


def test_a_stopped_phone_hands_everything_in_before_it_is_told_to_empty_itself(district: Served) -> None:
    phone = district.whole_phone("grid_worker", "cases")
    phone("offline")
    documents = [capture(title=f"第{n}件", location=middle_of(HERE)) for n in range(30)]
    ids = phone("insert", documents=documents)["ids"]
    devices = district.get("grid_worker", "/api/v1/devices").json()
    lost = next(device["id"] for device in devices if device["name"] == "library")
    assert district.post("grid_worker", f"/api/v1/devices/{lost}/revoke").status_code == 204
    assert phone("log")["wiped"] == 0
    phone("online")
    phone("sync")
    assert phone("log")["wiped"] >= 1
    rows = district.get("clerk", "/api/v1/quarantine", limit=100).json()["items"]
    assert {row["doc_id"] for row in rows} == set(ids)
    assert held(phone) == {}


# --- what a store lost -----------------------------------------------------------------------------------------------


def test_a_store_with_a_missing_a_stale_and_a_surplus_row_is_healed(district: Served) -> None:
    cases = [district.capture("clerk", HERE) for _ in range(30)]
    missing, stale, surplus = cases[3], cases[11], cases[20]
    phone = district.whole_phone("grid_worker", "cases", pages=spoiled(drop=[missing], stale=[stale]))
    district.must_act("dispatcher", surplus, "set_place", cell=THERE, evidence="到过现场")
    district.capture("clerk", HERE)
    phone("filter", filter=spoiled(tombstones=True))
    phone("sync")
    phone("filter", filter=None)
    before = held(phone)
    assert missing not in before
    assert before[stale]["title"] == "stale"
    assert surplus in before
    phone("sync")
    assert held(phone) == before  # no pull would ever bring it
    assert phone("verify")["verdicts"]["cases"] == "healed"
    fresh = district.whole_phone("grid_worker", "cases")
    assert held(phone) == held(fresh)
    assert set(phone("verify")["verdicts"].values()) == {"same"}
    assert no_errors(phone)


def test_a_sound_store_costs_one_question_and_an_unsent_edit_waits(district: Served) -> None:
    district.capture("clerk", HERE)
    phone = district.whole_phone("grid_worker", "cases", "entries")
    before = len(phone("log")["requests"])
    assert phone("verify")["verdicts"] == {"cases": "same", "entries": "same"}
    asked = [path for path, _, _ in phone("log")["requests"][before:] if "/pull" not in path]
    assert asked.count("/sync/v1/hello") == 1
    assert not any(path.endswith(("/digest", "/reconcile")) for path in asked)


def test_every_collection_of_every_reach_agrees_with_the_server(district: Served) -> None:
    district.capture("clerk", HERE)
    for user in ("grid_worker", "clerk", "community_leader", "mediator"):
        phone = district.whole_phone(user)
        assert phone("verify")["verdicts"] == dict.fromkeys(Collection.__members__, "same"), user


# --- versions --------------------------------------------------------------------------------------------------------


def test_a_phone_of_version_1_that_checks_documents_lives_beside_one_of_version_2(district: Served) -> None:
    case = district.capture("grid_worker", HERE)
    new = district.whole_phone("grid_worker", "files")
    picture = {"owner_id": case, "kind": "photo", "caption": "门口的堆物"}
    (shown,) = new("insert", "files", documents=[picture])["ids"]
    new("sync")
    old = district.whole_phone("clerk", "files", schema=1)
    assert "caption" not in held(old, "files")[shown]
    old("patch", "files", id=shown, values={"transcript": "已听写"})
    old("sync")
    new("sync")
    both = held(new, "files")[shown]
    assert (both["caption"], both["transcript"]) == ("门口的堆物", "已听写")
    assert no_errors(old)
    assert no_errors(new)
    assert old("verify")["verdicts"] == {"files": "same"}


def test_an_app_too_old_to_be_read_keeps_its_captures_and_they_are_there_too(district: Served) -> None:
    phone = district.phone("grid_worker")
    identity = new_id()
    headers = district.bearer("grid_worker") | {"Wangge-Schema": "0"}
    rows = [{"newDocumentState": capture(id=identity, location=middle_of(HERE))}]
    answer = district.client.post("/sync/v1/cases/push", headers=headers, json=rows)
    assert answer.status_code == 426
    assert phone.documents() == {}
    assert identity in str(district.get("clerk", "/api/v1/quarantine").json())


# --- much ------------------------------------------------------------------------------------------------------------


def test_ten_thousand_documents_arrive_in_few_pages_and_agree(district: Served) -> None:
    rows = [
        {
            "newDocumentState": capture(
                id=new_id(), title=f"第{n}件", location=middle_of(HERE), w=f"{n + 1}:{new_id()}"
            )
        }
        for n in range(10_000)
    ]
    for start in range(0, len(rows), 1_000):
        answer = district.post("grid_worker", "/sync/v1/cases/push", rows[start : start + 1_000])
        assert answer.status_code == 200, answer.text
    phone = district.whole_phone("grid_worker", "cases")
    assert len(held(phone)) == 10_000
    pulls = [path for path, _, _ in phone("log")["requests"] if path.endswith("/cases/pull")]
    assert len(pulls) < 40
    assert phone("verify")["verdicts"] == {"cases": "same"}
    district.submit(administration.end_grant("grid_worker", "grid_worker", cell=HERE))
    phone("sync")
    # its author keeps what he wrote while his place is open
    assert phone("verify")["verdicts"] == {"cases": "same"}
    assert no_errors(phone)


# --- a restore -------------------------------------------------------------------------------------------------------


def test_after_a_restore_the_phone_hands_in_again_what_was_lost_and_drops_what_it_may_not_hold(
    district: Served,
) -> None:
    """RC2–RC4; PL1."""
    kept = district.capture("clerk", HERE)
    phone = district.whole_phone("grid_worker", "cases", "entries")
    backup = district.back_up()
    (lost,) = phone("insert", documents=[capture(title="备份之后写的", location=middle_of(HERE))])["ids"]
    phone("patch", id=kept, values={"title": "备份之后改的"})
    alien = district.capture("clerk", HERE, title="只有丢失的历史里有")
    phone("sync")
    assert set(held(phone)) == {kept, lost, alien}
    phone("offline")
    district.restore(backup)
    phone("online")
    phone("sync")
    phone("sync")
    cases = held(phone)
    # what somebody else captured is handed in for him; the title that stands is not overwritten without a base
    assert {key: doc["title"] for key, doc in cases.items()} == {
        kept: "楼道堆物起争执",
        lost: "备份之后写的",
        alien: "只有丢失的历史里有",
    }
    assert "备份之后改的" in district.get("clerk", f"/api/v1/cases/{kept}").text
    assert district.whole_phone("clerk", "cases").documents() == cases
    assert phone("verify")["verdicts"] == {"cases": "same", "entries": "same"}
    assert no_errors(phone)


def test_what_was_granted_only_in_the_lost_history_goes(district: Served) -> None:
    """RC4: no plan of the restored server has it."""
    case = district.capture("clerk", THERE)
    phone = district.whole_phone("grid_worker", "cases")
    backup = district.back_up()
    district.submit(administration.grant_role("grid_worker", "grid_worker", cell=THERE))
    phone("sync")
    assert case in held(phone)
    phone("offline")
    district.restore(backup)
    phone("online")
    district.capture("clerk", HERE)
    phone("sync")
    phone("sync")
    assert case not in held(phone)
    assert no_errors(phone)


def test_a_phone_that_was_emptied_is_filled_again_from_nothing(district: Served) -> None:
    case = district.capture("clerk", HERE)
    first = district.whole_phone("grid_worker", "cases", device={"name": "library"})
    again = district.whole_phone("grid_worker", "cases", device={"name": "library"})
    assert held(again) == held(first) == {case: held(first)[case]}
    assert again("verify")["verdicts"] == {"cases": "same"}
