"""待核箱 as a list: found by what it is about, told in a sentence, decided one by one or many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sync import administration
from sync.erasing import erase_work
from sync.upkeep import link_waiting
from sync.values import Collection
from tests.http.town import CELLS, new_id

if TYPE_CHECKING:
    from sync.store import Reader
    from tests.http.town import Town

CANARY = "金丝雀十二号"
LIST, COUNTS = "/api/v1/quarantine", "/api/v1/quarantine/counts"


def kept(town: Town, who: str = "clerk", /, **params: Any) -> list[dict[str, Any]]:
    answer = town.get(who, LIST, **params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def edit(town: Town, user: str, case: str, **fields: Any) -> None:
    doc = {"id": case, "kind": "dispute", "captured_at": town.now(), "w": f"950:{new_id()}", **fields}
    assert town.push(user, "cases", doc).status_code == 200


def act(town: Town, item: str, what: str, user: str = "clerk", **args: Any) -> Any:
    return town.post(user, f"{LIST}/{item}/acts", {"act": what, **args})


def waiting_of(reader: Reader) -> list[int]:
    return [row["entry_pk"] for row in reader.find("waiting")]


def notices(town: Town, user: str) -> list[dict[str, Any]]:
    pulled = town.post(user, "/sync/v1/notices/pull", {"checkpoint": None, "limit": 1000}).json()
    return [doc for doc in pulled["documents"] if doc.get("kind") == "kept_aside"]


# --- finding ---------------------------------------------------------------------------------------------------------


def test_the_list_is_narrowed_by_reason_sort_author_device_case_place_unit_age_and_state(town: Town) -> None:
    case, other = town.capture(), town.admitted(cell=CELLS[2])
    town.must_act("dispatcher", other, "dispatch", unit="S1-JUSTICE")
    edit(town, "grid_worker_2", case, address="一号")
    edit(town, "grid_worker_2", other, address="二号")
    town.push("grid_worker", "entries", {"id": new_id(), "case_id": case, "type": "no_such_type", "at": 1})
    waits = {"id": new_id(), "case_id": case, "type": "note", "at": 1, "body": {"text": "等"}}
    town.push("grid_worker_2", "entries", waits)
    assert len(kept(town)) == 4

    def found(**params: Any) -> set[str]:
        return {item["reason"] for item in kept(town, **params)}

    assert found(reason="type_unknown") == {"type_unknown"}
    assert found(collection="cases") == {"out_of_scope"}
    assert len(kept(town, user=town.user_id("grid_worker_2"))) == 3
    device_id = town.get("grid_worker", "/api/v1/devices").json()[0]["id"]
    assert found(device=device_id) == {"type_unknown"}
    assert found(case=case) == {"out_of_scope", "type_unknown", "case_missing"}
    assert found(case=other) == {"out_of_scope"}
    assert found(case=new_id()) == found(case="nothing") == set()
    assert len(kept(town, cell=CELLS[2])) == 1
    assert len(kept(town, cell="410399001")) == 4
    assert kept(town, cell="nowhere") == []
    assert [item["case_id"] for item in kept(town, unit="S1-JUSTICE")] == [other]
    assert kept(town, unit="nowhere") == []
    assert kept(town, days=1) == []
    town.advance(3)
    assert len(kept(town, days=1)) == 4
    assert kept(town, since=town.now()) == []
    assert kept(town, until=1) == []
    assert kept(town, state="applied") == []


def test_pages_follow_one_another_under_every_filter(town: Town) -> None:
    case = town.capture()
    for number in range(7):
        edit(town, "grid_worker_2", case, address=f"{number}号")
    for params in ({}, {"case": case}, {"reason": "out_of_scope"}):
        seen: list[str] = []
        after: Any = None
        while True:
            query = params | {"limit": 3} | ({} if after is None else {"after": after})
            page = town.get("clerk", LIST, **query).json()
            seen += [item["id"] for item in page["items"]]
            after = page["next"]
            if after is None or not page["items"]:
                break
        assert len(seen) == len(set(seen)) == 7


@pytest.mark.parametrize(
    "query", ["collection=secrets", "days=-1", "since=x", "case=a%20b", "limit=0", f"days={1 << 40}"]
)
def test_a_filter_that_is_none_is_told_so(town: Town, query: str) -> None:
    for path in (LIST, COUNTS):
        if "limit" not in query or path == LIST:
            assert town.get("clerk", f"{path}?{query}").status_code == 400, path


def test_each_item_says_what_it_is_why_it_is_here_and_what_can_be_done(town: Town) -> None:
    case = town.capture()
    edit(town, "grid_worker_2", case, address="一号")
    (item,) = kept(town)
    assert item["told_zh"] == (
        "网格员乙交来的案件内容因其当时已无权查看该内容,未能写入;可以再次提交、以您的名义并入、存查并写明理由。"
    )
    assert item["acts"] == ["apply", "merge", "discard"]
    town.push("grid_worker", "cases", {"id": new_id(), "kind": "no_such", "captured_at": 1})
    assert "类型不认识" in kept(town, reason="kind_unknown")[0]["told_zh"]
    (notice,) = notices(town, "grid_worker_2")
    assert notice["args"]["text"].endswith("没有丢失,已转中心处理。")


# --- counting --------------------------------------------------------------------------------------------------------


def test_the_centre_counts_what_it_may_open_and_nothing_else(town: Town) -> None:
    case, sealed = town.capture(), town.capture(protection="sealed")
    for number in range(2):
        edit(town, "grid_worker_2", case, address=f"{number}号")
        edit(town, "grid_worker_2", sealed, address=f"{number}号")
    rows = town.get("clerk", COUNTS).json()["reasons"]
    assert [(row["reason"], row["count"], row["few"]) for row in rows] == [("out_of_scope", 2, False)]
    assert town.get("centre_director", COUNTS).json()["reasons"][0]["count"] == 4
    assert town.get("clerk_2", COUNTS).json() == {"reasons": [], "more": False}
    assert town.get("clerk", COUNTS, case=sealed).json() == town.get("clerk", COUNTS, case=new_id()).json()
    town.must_act("centre_director", case, "recuse", user=town.user_id("clerk"), reason="亲属")
    assert town.get("clerk", COUNTS).json()["reasons"] == []


def test_whoever_may_not_open_it_is_told_no_small_figure_and_nothing_of_sealed_cases(town: Town) -> None:
    case, sealed = town.capture(), town.capture(protection="sealed")
    for number in range(6):
        edit(town, "grid_worker_2", sealed, address=f"{number}号")
    assert town.get("admin", COUNTS).json()["reasons"] == []
    town.push("grid_worker", "cases", {"kind": "tip_off", "title": "举报"})  # no id: it belongs to no case
    assert town.get("admin", COUNTS).json()["reasons"] == []
    edit(town, "grid_worker_2", case, address="一号")
    (row,) = town.get("admin", COUNTS).json()["reasons"]
    assert (row["count"], row["few"], row["oldest_at"]) == (None, True, None)
    for number in range(5):
        edit(town, "grid_worker_2", case, address=f"还有{number}号")
    assert town.get("admin", COUNTS).json()["reasons"][0]["count"] == 6


def test_whoever_may_not_open_it_has_no_other_way_to_a_small_figure(town: Town) -> None:
    """Rows in a list can be counted, and two figures taken from one another."""
    case = town.capture()
    for number in range(6):
        edit(town, "grid_worker_2", case, address=f"{number}号")
    narrower: list[dict[str, Any]] = [
        {"case": case},
        {"cell": CELLS[0]},
        {"user": "x"},
        {"device": "x"},
        {"unit": "D-CENTRE"},
    ]
    narrower += [{"since": 1}, {"until": town.now()}, {"days": 0}, {"collection": "cases"}]
    narrower += [{"reason": "out_of_scope"}, {"state": "all"}, {"state": "discarded"}]
    for reader in ("admin", "data_officer"):
        assert town.get(reader, COUNTS).json()["reasons"][0]["count"] == 6
        assert town.get(reader, LIST).status_code == 403
        assert town.get(reader, LIST, reason="out_of_scope").status_code == 403
        for query in narrower:
            assert town.get(reader, COUNTS, **query).status_code == 403, query


# --- deciding --------------------------------------------------------------------------------------------------------


def test_what_its_author_may_no_longer_write_is_merged_in_under_the_name_of_the_desk(town: Town) -> None:
    case = town.capture()
    edit(town, "grid_worker_2", case, wishes="希望尽快修好")
    (item,) = kept(town)
    assert act(town, item["id"], "apply").json()["code"] == "still_impossible"
    done = act(town, item["id"], "merge")
    assert (done.status_code, done.json()["state"]) == (200, "merged"), done.text
    shown = town.get("clerk", f"/api/v1/cases/{case}").json()["case"]
    assert shown["wishes"] == "希望尽快修好"
    claims = [issue for issue in shown["issues"] if issue["code"] == "claim_differs"]
    assert claims[0]["message"] == town.user_id("grid_worker_2")  # whose words they are
    told = notices(town, "grid_worker_2")[-1]
    assert (told["code"], told["args"]["text"].endswith("现已由中心并入。")) == ("kept_merged", True)
    assert act(town, item["id"], "merge").json()["code"] == "already_decided"
    assert town.post("grid_worker", "/sync/v1/cases/pull", {"checkpoint": None, "limit": 100}).json()


def test_a_note_for_a_case_its_author_does_not_see_is_merged_in_as_a_note_of_the_desk(town: Town) -> None:
    case = town.capture(cell=CELLS[0])
    note = {"id": new_id(), "case_id": case, "type": "note", "at": 5, "body": {"text": "隔壁也听到了"}}
    town.push("grid_worker_2", "entries", note)
    (item,) = kept(town, reason="case_missing")
    assert act(town, item["id"], "merge").status_code == 200
    lines = town.get("clerk", f"/api/v1/cases/{case}").json()["timeline"]
    (line,) = [line for line in lines if (line.get("body") or {}).get("text") == "隔壁也听到了"]
    assert line["author"] == town.user_id("clerk")
    assert line["id"] != note["id"]
    # A new grant links what waited; this one is not written a second time.
    town.submit(administration.grant_role("grid_worker_2", "grid_worker", cell=CELLS[0]))
    town.submit(link_waiting())
    again = town.get("clerk", f"/api/v1/cases/{case}").json()["timeline"]
    assert len([line for line in again if (line.get("body") or {}).get("text") == "隔壁也听到了"]) == 1


@pytest.mark.parametrize(
    ("before", "after", "times", "state"),
    [
        pytest.param(("discard", None), None, 0, "discarded", id="let go: not even by its phone"),
        pytest.param(("apply", "still_impossible"), "apply", 1, "applied", id="tried again: once"),
    ],
)
def test_a_note_that_waits_comes_into_its_case_as_was_decided(
    town: Town, before: tuple[str, str | None], after: str | None, times: int, state: str
) -> None:
    """QU5, PU12: its author was told what became of it; he sees the case before the minute's look has been."""
    case = town.capture(cell=CELLS[0])
    said = {
        "id": new_id(),
        "case_id": case,
        "type": "note",
        "at": 5,
        "body": {"text": CANARY},
        "w": f"4:{new_id()}",
    }
    town.push("grid_worker_2", "entries", said)
    (item,) = kept(town)
    decided, code = before
    assert act(town, item["id"], decided, reason="与本案无关").json().get("code") == code
    town.submit(administration.grant_role("grid_worker_2", "grid_worker", cell=CELLS[0]))
    if after is not None:
        assert act(town, item["id"], after).json().get("state") == state
    town.submit(link_waiting())
    town.push("grid_worker_2", "entries", said)  # and once more by its phone, which now sees the case
    assert town.get("clerk", f"/api/v1/cases/{case}").text.count(CANARY) == times
    assert [row["state"] for row in kept(town, state="all")] == [state]
    town.submit(erase_work(Collection.cases, case))  # ER2: it waited for this case, and goes with it
    rows = town.district.read_blocking(lambda reader: reader.find("quarantine"))
    assert [row["state"] for row in rows] == ["erased"]
    (entry,) = town.district.read_blocking(lambda reader: reader.find("document", {"pk": waiting_of(reader)}))
    assert (entry["gone"] is not None, entry["dek"]) == (True, None)


def test_an_act_is_not_done_on_somebodys_behalf(town: Town) -> None:
    case = town.capture()
    entry = {
        "id": new_id(),
        "case_id": case,
        "type": "act",
        "at": 1,
        "body": {"act": "void", "args": {"reason": "x"}},
    }
    town.push("grid_worker_2", "entries", entry)
    (item,) = kept(town, reason="case_missing")
    assert item["acts"] == ["apply", "discard"]
    assert act(town, item["id"], "merge").status_code == 400
    assert town.get("clerk", f"/api/v1/cases/{case}").json()["case"]["status"] == "submitted"


def test_refused_values_are_corrected_and_written(town: Town) -> None:
    case = town.capture(people_count="很多人", urgency="whatever")
    (item,) = kept(town, reason="fields_refused")
    assert item["payload"] == {"people_count": "很多人", "urgency": "whatever"}
    still = act(town, item["id"], "merge")
    assert (still.status_code, still.json()["missing"]) == (422, ["people_count", "urgency"])
    half = act(town, item["id"], "merge", values={"people_count": 12})
    assert half.json()["missing"] == ["urgency"]
    done = act(town, item["id"], "merge", values={"people_count": 12, "urgency": "urgent"})
    assert done.status_code == 200, done.text
    shown = town.get("clerk", f"/api/v1/cases/{case}").json()["case"]
    assert (shown["people_count"], shown["urgency"]) == (12, "urgent")
    assert not {"people_count", "urgency"} & {issue["field"] for issue in shown.get("issues") or ()}


def test_a_corrected_party_joins_the_others(town: Town) -> None:
    parties = [{"id": "p1", "alias": "三楼"}, {"id": "p2", "phone": 5}]
    case = town.capture(parties=parties)
    (item,) = kept(town, reason="fields_refused")
    done = act(town, item["id"], "merge", values={"parties": [{"id": "p2", "phone": "13800000000"}]})
    assert done.status_code == 200, done.text
    shown = town.get("clerk", f"/api/v1/cases/{case}").json()["case"]["parties"]
    assert {(party["id"], party.get("alias"), party.get("phone")) for party in shown} >= {
        ("p1", "三楼", None),
        ("p2", None, "13800000000"),
    }


def test_what_an_app_of_the_future_sent_can_only_be_let_go(town: Town) -> None:
    town.capture(mood="怒")
    (item,) = kept(town, reason="fields_refused")
    assert item["acts"] == ["discard"]
    assert act(town, item["id"], "apply").status_code == 400


@pytest.mark.parametrize(
    "values", [{"id": "x"}, {"status": "closed"}, {"author": "x"}, {"cell": "x"}, 5, [1]]
)
def test_a_correction_names_what_a_phone_may_write(town: Town, values: Any) -> None:
    case = town.capture()
    edit(town, "grid_worker_2", case, wishes="x")
    (item,) = kept(town)
    assert act(town, item["id"], "merge", values=values).status_code == 422
    assert act(town, item["id"], "apply", values={"wishes": "y"}).status_code == 422


def test_its_author_reads_why_it_was_let_go_and_the_words_lie_sealed(town: Town) -> None:
    case = town.capture()
    edit(town, "grid_worker_2", case, wishes="误操作")
    (item,) = kept(town)
    assert act(town, item["id"], "discard", reason=CANARY).status_code == 200
    told = notices(town, "grid_worker_2")[-1]
    assert (told["code"], told["words"]) == ("kept_discarded", CANARY)
    assert told["args"]["text"].endswith("中心看过后存查,未写入。")
    rows = town.district.read_blocking(lambda reader: reader.find("document", {"collection": 6}))
    assert rows
    assert not any(CANARY.encode() in bytes(row["clear"]) for row in rows)


def test_whoever_is_kept_from_the_case_reads_that_it_was_decided_and_no_word_of_it(town: Town) -> None:
    case = town.capture()
    edit(town, "grid_worker_2", case, wishes="x")
    town.must_act("centre_director", case, "recuse", user=town.user_id("grid_worker_2"), reason="亲属")
    (item,) = kept(town)
    act(town, item["id"], "discard", reason=f"{CANARY}与案件有关")
    told = notices(town, "grid_worker_2")
    assert [notice["code"] for notice in told] == ["kept_discarded"]
    assert CANARY not in str(told)
    assert case not in str(told)


# --- many at once ----------------------------------------------------------------------------------------------------


def test_many_are_decided_one_by_one_and_each_has_its_answer(town: Town) -> None:
    mine, sealed = town.capture(), town.capture(protection="sealed")
    edit(town, "grid_worker_2", mine, wishes="甲")
    edit(town, "grid_worker_2", sealed, wishes="乙")
    first = kept(town, "clerk")[0]["id"]
    hidden = next(i["id"] for i in kept(town, "centre_director") if i["id"] != first)
    town.push("grid_worker", "cases", {"kind": "dispute", "title": "没有编号"})
    no_id = kept(town, reason="id_missing")[0]["id"]
    body = {"act": "merge", "ids": [first, hidden, "nowhere", no_id, first]}
    results = town.post("clerk", f"{LIST}/acts", body).json()["results"]
    assert [(row["id"], row["ok"], row.get("code")) for row in results] == [
        (first, True, None),
        (hidden, False, "not_found"),
        ("nowhere", False, "not_found"),
        (no_id, False, "bad_request"),
    ]
    assert results[1]["detail"] == results[2]["detail"]
    gone = town.post(
        "clerk", f"{LIST}/acts", {"act": "discard", "ids": [first, no_id], "reason": "重复"}
    ).json()
    assert [(row["ok"], row.get("code")) for row in gone["results"]] == [
        (False, "already_decided"),
        (True, None),
    ]


def test_a_list_of_items_that_is_none_decides_nothing(town: Town) -> None:
    case = town.capture()
    edit(town, "grid_worker_2", case, wishes="甲")
    identity = kept(town)[0]["id"]
    bodies: list[Any] = [
        {},
        {"act": "apply"},
        {"act": "apply", "ids": []},
        {"act": "apply", "ids": identity},
        {"act": "apply", "ids": [identity, 7]},
        {"act": "apply", "ids": [identity] * 201},
        {"act": "discard", "ids": [identity]},
        {"act": "merge", "ids": [identity], "values": {"wishes": "乙"}},
    ]
    for body in bodies:
        assert town.post("clerk", f"{LIST}/acts", body).status_code == 422, body
    assert town.post("grid_worker", f"{LIST}/acts", {"act": "apply", "ids": [identity]}).status_code == 403
    assert town.post(None, f"{LIST}/acts", {"act": "apply", "ids": [identity]}).status_code == 401
    assert kept(town)[0]["state"] == "open"
