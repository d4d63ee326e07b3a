"""The console's cases: who is shown what, what an act brings, what the ledger and the clocks tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.clocks import wall_ms
from tests.http.town import CELLS, Town, middle_of, new_id

if TYPE_CHECKING:
    import pytest

UNKNOWN = "0198c000-0000-7000-8000-000000000000"


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def test_a_clerk_lists_the_cases_of_his_centre_newest_change_first(town: Town) -> None:
    first, second, third = town.capture(), town.capture(), town.capture(cell=CELLS[3])
    town.must_act("clerk", first, "rate", colour="orange", reason="双方情绪激动")
    assert ids(town.get("clerk", "/api/v1/cases")) == [first, third, second]
    assert ids(town.get("clerk_2", "/api/v1/cases")) == [third]
    assert ids(town.get("grid_worker_2", "/api/v1/cases")) == [third]


def test_a_list_is_read_page_by_page_without_losing_or_repeating_a_case(town: Town) -> None:
    made = [town.capture() for _ in range(7)]
    found: list[str] = []
    after = None
    while True:
        params = {"limit": 3} | ({"after": after} if after else {})
        page = town.get("clerk", "/api/v1/cases", **params).json()
        found += [item["id"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert found == made[::-1]


def test_filters_narrow_a_list(town: Town) -> None:
    here = town.capture(title="三号院漏水", category="0201", urgency="urgent")
    there = town.capture(cell=CELLS[3], title="广场噪声", category="0202")
    opinion = town.capture(kind="opinion", category=None, title="建议加装路灯")
    town.must_act("clerk", here, "rate", colour="red", reason="可能动手")

    def found(**params: Any) -> set[str]:
        return set(ids(town.get("clerk", "/api/v1/cases", **params)))

    assert found(q="漏水") == {here}
    assert found(category="02") == {here, there}
    assert found(category="0202") == {there}
    assert found(kind="opinion") == {opinion}
    assert found(cell=CELLS[3]) == {there}
    assert found(area="410399001") == {here, opinion}
    assert found(cell="nowhere") == set()
    assert found(risk="red") == {here}
    assert found(urgency="urgent") == {here}
    assert found(status="submitted,admitted") == {here, there, opinion}
    assert found(status="no_such_status") == set()
    assert found(needs_confirmation="true") == set()
    assert found(level=0, protection="normal") == {here, there, opinion}
    assert found(overdue="true") == set()
    town.advance(3)
    assert here in found(overdue="true")


def test_a_case_without_a_place_waits_for_confirmation_at_the_districts_centre(town: Town) -> None:
    lost = town.capture(user="grid_leader", location=None)
    assert ids(town.get("clerk", "/api/v1/cases", needs_confirmation="true")) == [lost]


def test_a_leader_reads_a_case_without_names_and_numbers_of_the_parties(town: Town) -> None:
    case = town.capture()
    answer = town.get("street_leader", f"/api/v1/cases/{case}")
    assert answer.json()["form"] == "plain"
    assert "王小梅" not in answer.text
    assert "13800001111" not in answer.text
    masked = answer.json()["case"]["parties_masked"]
    assert [(party["name"], party["phone"]) for party in masked] == [("王**", "138****1111"), ("李**", None)]
    full = town.get("clerk", f"/api/v1/cases/{case}")
    assert full.json()["case"]["parties"][0]["name"] == "王小梅"
    assert "410399199001010011" not in full.text


def test_the_holder_of_a_shell_sees_that_there_is_a_case_and_no_more(town: Town) -> None:
    case = town.capture(protection="restricted", title="家中的事")
    page = town.get("street_leader", f"/api/v1/cases/{case}").json()
    assert page["form"] == "shell"
    assert set(page["case"]) >= {"id", "cell", "status", "protection"}
    assert not {"title", "description", "parties", "category", "risk"} & page["case"].keys()
    assert page["timeline"] == []
    assert page["legal_acts"] == []
    assert "ledger" not in page
    assert ids(town.get("street_leader", "/api/v1/cases", q="家中")) == []
    assert ids(town.get("street_leader", "/api/v1/cases", kind="dispute")) == []
    assert town.get("street_leader", f"/api/v1/cases/{case}/clocks").status_code == 403
    assert town.act("street_leader", case, "urge").status_code == 403


def test_what_is_not_ones_own_answers_like_what_is_not_there_byte_for_byte(town: Town) -> None:
    theirs = town.capture()
    for user in ("clerk_2", "grid_worker_2", "admin", "auditor", "integration"):
        for path in ("", "/clocks"):
            invisible = town.get(user, f"/api/v1/cases/{theirs}{path}")
            unknown = town.get(user, f"/api/v1/cases/{UNKNOWN}{path}")
            none = town.get(user, f"/api/v1/cases/not-an-id{path}")
            assert invisible.status_code == 404
            assert invisible.content == unknown.content == none.content
        for act in ("admit", "no_such_act", ""):
            invisible = town.act(user, theirs, act)
            unknown = town.act(user, UNKNOWN, act)
            assert invisible.status_code == 404
            assert invisible.content == unknown.content


def test_an_act_changes_the_case_and_an_impossible_one_says_what_is_possible(town: Town) -> None:
    case = town.capture()
    refused = town.act("clerk", case, "settle")
    assert refused.status_code == 403
    assert refused.json()["code"] == "act_forbidden"
    refused = town.act("dispatcher", case, "dispatch", unit="S1-JUSTICE")
    assert (refused.status_code, refused.json()["code"]) == (409, "act_illegal")
    assert "triage" in refused.json()["legal"]
    refused = town.act("clerk", case, "triage", category="0204")
    assert (refused.status_code, refused.json()["code"]) == (422, "act_needs")
    assert set(refused.json()["missing"]) == {"basis", "risk", "channel"}
    town.must_act("clerk", case, "triage", category="0204", basis="lawful", risk="yellow", channel="grid")
    admitted = town.must_act("clerk", case, "admit")
    assert admitted["case"]["status"] == "admitted"
    assert admitted["case"]["code"].startswith("涧东矛〔")
    assert len(admitted["query_code"]) == 14
    sent = town.must_act("dispatcher", case, "dispatch", unit="S1-JUSTICE")
    assert sent["case"]["handler"]["unit"] == "S1-JUSTICE"
    assert sent["case"]["unit_name"] == "一街司法所"
    assert ids(town.get("dispatcher", "/api/v1/cases", unit="S1-JUSTICE")) == [case]
    page = town.get("unit_handler", f"/api/v1/cases/{case}").json()
    assert "accept" in page["legal_acts"]
    acts = [line["body"]["act"] for line in page["timeline"] if line["type"] == "act"]
    assert acts == ["triage", "admit", "dispatch"]


def test_an_act_without_a_name_or_with_a_number_nobody_can_store_is_refused(town: Town) -> None:
    case = town.capture()
    assert town.post("clerk", f"/api/v1/cases/{case}/acts", {}).json()["code"] == "invalid"
    huge = town.act("clerk", case, "rate", colour="red", reason="x", extra={"n": 10**30})
    assert huge.status_code == 422


def test_somebody_who_recuses_himself_no_longer_sees_the_case(town: Town) -> None:
    case = town.capture()
    done = town.must_act(
        "community_leader", case, "recuse", user=town.user_id("community_leader"), reason="亲属"
    )
    assert done["case"] is None
    assert town.get("community_leader", f"/api/v1/cases/{case}").status_code == 404
    seen = town.get("clerk", f"/api/v1/cases/{case}").json()["case"]
    assert seen["recused"] == [town.user_id("community_leader")]
    assert "recused" not in town.get("grid_worker", f"/api/v1/cases/{case}").json()["case"]


def test_an_identity_number_is_shown_once_for_a_stated_purpose(town: Town) -> None:
    case = town.capture()
    party = town.get("clerk", f"/api/v1/cases/{case}").json()["case"]["parties"][1]["id"]
    assert town.act("clerk", case, "reveal", party=party, field="id_number").status_code == 422
    done = town.must_act("clerk", case, "reveal", party=party, field="id_number", purpose="制作调解协议")
    assert done["revealed"]["value"] == "410399199001010011"


def test_a_leader_who_is_sent_masked_parties_is_shown_one_field_and_no_identity_number(town: Town) -> None:
    case = town.capture()
    party = town.get("clerk", f"/api/v1/cases/{case}").json()["case"]["parties"][1]
    for who in ("street_leader", "community_leader"):
        assert "name" not in town.get(who, f"/api/v1/cases/{case}").json()["case"]["parties"][1]
        assert town.act(who, case, "reveal", party=party["id"], field="name").status_code == 422
        done = town.must_act(who, case, "reveal", party=party["id"], field="name", purpose="约定到场时间")
        assert done["revealed"] == {"party": party["id"], "field": "name", "value": party["name"]}
        refused = town.act(who, case, "reveal", party=party["id"], field="id_number", purpose="核对身份")
        assert refused.status_code == 403
    records = town.get("auditor", "/api/v1/audit", action="act:reveal").json()["items"]
    assert len(records) == 2


def test_each_look_at_a_case_stands_in_the_audit(town: Town) -> None:
    case = town.capture()
    town.get("street_leader", f"/api/v1/cases/{case}")
    records = town.get("auditor", "/api/v1/audit", action="case.look").json()
    assert [line["actor_name"] for line in records["items"]] == ["街道领导甲"]
    assert records["chain"]["verified"] is True


def test_the_ledger_shows_both_values_to_those_who_see_the_whole_case(town: Town) -> None:
    case = town.capture()
    stored = town.get("clerk", f"/api/v1/cases/{case}").json()["case"]
    base = {name: stored[name] for name in ("id", "kind", "title", "description", "captured_at", "v")}
    mine = base | {"title": "窗口改的标题", "w": f"900:{new_id()}"}
    theirs = base | {"title": "手机改的标题", "w": f"901:{new_id()}"}
    for user, doc in (("clerk", mine), ("grid_worker", theirs)):
        row = {"newDocumentState": doc, "assumedMasterState": base}
        assert town.post(user, "/sync/v1/cases/push", [row]).status_code == 200
    line = town.get("clerk", f"/api/v1/cases/{case}").json()["ledger"][0]
    assert (line["field"], line["base"]) == ("title", "楼道堆物起争执")
    assert {line["winner"], line["loser"]} == {"窗口改的标题", "手机改的标题"}
    assert line["user_name"] == "网格员甲"
    assert line["device"] == "grid_worker"
    assert line["rule"]
    assert "ledger" not in town.get("street_leader", f"/api/v1/cases/{case}").json()


def test_the_clocks_say_when_a_case_reaches_whom_in_both_languages(town: Town) -> None:
    case = town.capture()
    told = town.get("clerk", f"/api/v1/cases/{case}/clocks").json()
    assert "提级到社区(村)" in told["sentence"]
    english = town.get("clerk", f"/api/v1/cases/{case}/clocks", lang="en").json()
    assert english["sentence"].startswith("Reaches the community")
    assert {clock["clock"] for clock in told["clocks"]} >= {"admit", "first_contact"}
    assert all(rung["reason"] == "not_due" for rung in told["rungs"] if rung["level"] == 1)
    told = town.get("clerk", f"/api/v1/cases/{town.admitted()}/clocks").json()
    assert {clock["label"] for clock in told["clocks"]} >= {"受理", "派单", "首次联系"}
    assert None not in {clock["label"] for clock in told["clocks"]}
    assert town.get("clerk", f"/api/v1/cases/{case}/clocks", lang="fr").status_code == 400


def test_the_clocks_do_not_name_whoever_is_recused(town: Town) -> None:
    case = town.capture(involves_staff=True)
    secretary = town.user_id("community_leader")
    told = town.get("clerk", f"/api/v1/cases/{case}/clocks")
    assert secretary not in told.text
    assert "社区书记甲" not in told.text


def test_the_window_takes_a_case_in_through_the_same_door_as_a_phone(town: Town) -> None:
    body = {
        "kind": "dispute",
        "description": "来访:邻居占用消防通道",
        "location": middle_of(CELLS[0]),
        "author": "x",
    }
    taken = town.post("clerk", "/api/v1/cases", body)
    assert taken.status_code == 201, taken.text
    case = taken.json()["case"]
    assert (case["status"], case["cell"]) == ("submitted", CELLS[0])
    assert case["author"] == town.user_id("clerk")
    assert town.get("clerk", f"/api/v1/cases/{taken.json()['id']}").json()["title"] == "来访:邻居占用消防通道"
    refused = town.post("clerk", "/api/v1/cases", {"description": "没有类别"})
    assert (refused.status_code, refused.json()["missing"]) == (422, ["kind"])
    assert town.post("street_leader", "/api/v1/cases", body).status_code == 403


def test_an_intake_sent_again_is_taken_in_once(town: Town) -> None:
    body = {"kind": "dispute", "description": "来访:邻居占用消防通道"}

    def sent(who: str, key: str, **more: Any) -> Any:
        answer = town.post(who, "/api/v1/cases", body | more, headers={"Idempotency-Key": key})
        assert answer.status_code == 201, answer.text
        return answer.json()

    first = sent("clerk", "a1")
    assert first["case"]["description"] == "来访:邻居占用消防通道"
    again = sent("clerk", "a1", description="答复丢失,重发")
    assert (again["id"], again["case"]["description"]) == (first["id"], "来访:邻居占用消防通道")
    others = {sent("clerk", "a2")["id"], sent("dispatcher", "a1")["id"], sent("dispatcher", "a2")["id"]}
    assert len(others | {first["id"]}) == 4
    refused = town.post("clerk", "/api/v1/cases", body, headers={"Idempotency-Key": "x" * 101})
    assert refused.status_code == 400
    assert (
        town.post("street_leader", "/api/v1/cases", body, headers={"Idempotency-Key": "a1"}).status_code
        == 403
    )


def test_an_intake_with_a_faulty_field_is_taken_in_and_says_so(town: Town) -> None:
    body = {
        "kind": "hazard",
        "description": "井盖",
        "location": {"lon": 112.4, "lat": 34.66},
        "people_count": "many",
    }
    case = town.post("clerk", "/api/v1/cases", body).json()["case"]
    assert {issue["field"] for issue in case["issues"]} == {"location", "people_count"}


def test_a_receipt_tells_anybody_the_status_and_the_next_step_only(town: Town) -> None:
    case = town.capture()
    town.must_act("clerk", case, "triage", category="0204", basis="lawful", risk="yellow", channel="grid")
    code = town.must_act("clerk", case, "admit")["query_code"]
    told = town.get(None, f"/public/v1/progress/{code[:7].lower()}-{code[7:]}")
    assert told.status_code == 200
    assert told.json()["status_zh"] == "已受理·待派"
    assert set(told.json()) == {"status", "status_zh", "status_en", "next_zh", "next_en"}
    number = town.get("clerk", f"/api/v1/cases/{case}").json()["case"]["code"]
    answers = {
        town.get(None, f"/public/v1/progress/{asked}").content
        for asked in (number, case, "2" * 14, "x", "2" * 500)
    }
    assert len(answers) == 1


def test_the_receipt_of_a_sealed_case_answers_like_one_that_never_was(town: Town) -> None:
    unknown = town.get(None, f"/public/v1/progress/{'2' * 14}")

    def admitted(**fields: Any) -> tuple[str, str]:
        case = town.capture(**fields)
        town.must_act(
            "centre_director", case, "triage", category="0204", basis="lawful", channel="grid", risk="yellow"
        )
        return case, town.must_act("centre_director", case, "admit")["query_code"]

    sealed, code = admitted(protection="sealed")
    assert town.get(None, f"/public/v1/progress/{code}").content == unknown.content
    other, merged = admitted()
    assert town.get(None, f"/public/v1/progress/{merged}").status_code == 200
    town.must_act("centre_director", other, "merge", master=sealed)
    assert town.get(None, f"/public/v1/progress/{merged}").content == unknown.content
    third, later = admitted()
    town.must_act("centre_director", third, "protect", **{"class": "sealed"}, reason="家暴")
    answer = town.get(None, f"/public/v1/progress/{later}")
    assert (answer.status_code, answer.content) == (404, unknown.content)


def test_every_status_has_a_next_step_for_the_public() -> None:
    from server.console.progress import NEXT
    from sync.cases.catalogue import STATUSES

    assert NEXT.keys() == STATUSES.keys()


def test_units_are_for_all_and_accounts_for_the_administrator(town: Town) -> None:
    units = town.get("mediator", "/api/v1/units").json()["items"]
    assert ("S1-JUSTICE", "司法所") in {(unit["code"], unit["type_zh"]) for unit in units}
    assert town.get("clerk", "/api/v1/accounts").status_code == 403
    listed = town.get("admin", "/api/v1/accounts")
    assert "password" not in listed.text
    clerk = next(row for row in listed.json()["items"] if row["username"] == "clerk_2")
    assert [(grant["role"], grant["unit"]) for grant in clerk["grants"]] == [("clerk", "S2-CENTRE")]


def test_a_list_stays_whole_when_more_tags_are_held_than_are_read_apart(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    from server.console import scope

    made = [town.capture() for _ in range(4)] + [town.capture(cell=CELLS[3])]
    apart = ids(town.get("clerk", "/api/v1/cases"))
    monkeypatch.setattr(scope, "_STREAMS_MAX", 0)
    assert ids(town.get("clerk", "/api/v1/cases")) == apart == made[::-1]
    assert ids(town.get("grid_worker_2", "/api/v1/cases")) == made[-1:]
    monkeypatch.setattr(scope, "_SCAN_MAX", 2)
    page = town.get("grid_worker_2", "/api/v1/cases").json()
    assert [item["id"] for item in page["items"]] == made[-1:]
    assert page["next"] is not None


def test_a_case_shows_when_it_was_by_our_clock_beside_what_the_phone_said(town: Town) -> None:
    """CL2: also in a list, and in words."""
    behind = 20 * 365 * 24 * 3_600_000
    told = {"wall": wall_ms() - behind, "monotonic": 1_000, "boot": "a", "rtt": 40}
    assert town.post("grid_worker", "/sync/v1/hello", told).status_code == 200
    before = wall_ms()
    case = town.capture(captured_at=before - behind)
    shown = town.get("clerk", f"/api/v1/cases/{case}").json()["case"]
    assert shown["captured_at"] == before - behind
    assert before - 1_000 <= shown["captured_est"] <= max(town.now(), wall_ms())
    assert (shown["clock_flag"], shown["clock_flag_zh"]) == ("off", "手机时间有偏差,已折算")
    (line,) = town.get("clerk", "/api/v1/cases").json()["items"]
    assert (line["captured_est"], line["clock_flag"]) == (shown["captured_est"], "off")
    untold = town.capture(user="grid_worker_2", cell=CELLS[3])
    shown = town.get("clerk", f"/api/v1/cases/{untold}").json()["case"]
    assert "captured_est" not in shown
    assert shown["clock_flag_zh"] is None
