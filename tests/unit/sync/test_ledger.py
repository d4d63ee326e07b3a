"""修改对照: two values of one thing, who wrote them and when, and a person who takes the other or leaves it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from server.console.ledger import lines_of, lines_of_case
from server.console.scope import Sight, open_case
from sync.cases import model
from sync.cases.catalogue import TABLES
from sync.erasing import erase_work
from sync.errors import NotFound
from sync.hello import remember
from sync.ledger_work import (
    LedgerErased,
    LedgerFixed,
    LedgerGone,
    LedgerInvalid,
    LedgerMovedOn,
    LedgerReviewed,
    review_work,
)
from sync.values import Collection
from tests.unit.sync.district import HOUR, user_id
from tests.unit.sync.test_review import admitted

if TYPE_CHECKING:
    from tests.unit.sync.district import District

CANARY = "金丝雀十一号"


def lines(district: District, who: str, case_id: str) -> list[dict[str, Any]]:
    with district.store.read() as reader:
        sight = Sight(reader, district.configs.get(reader), district.users[who], district.keys)
        return lines_of_case(sight, open_case(sight, case_id).doc)


def decide(district: District, who: str, line: int, act: str, **args: Any) -> Any:
    return district.commit(review_work(district.caller(who, "desk"), line, act, args))


def overlap(
    district: District, field: str = "title", first: Any = "乙", second: Any = "丙", **fields: Any
) -> str:
    """Bo and An, both off the net, write the same field; An arrives later. The case's id."""
    an, bo = district.phone("an"), district.phone("bo")
    case = an.capture(**fields)
    district.now += HOUR
    bo.edit(bo.pull("cases")[case["id"]], **{field: first})
    district.now += HOUR
    an.edit(case, **{field: second})
    return str(case["id"])


def test_a_line_tells_both_values_who_wrote_them_on_what_and_when(district: District) -> None:
    start = district.now
    case = overlap(district, title="甲")
    (line,) = lines(district, "clerk", case)
    assert (line["base"], line["winner"], line["loser"], line["winner_is"]) == ("甲", "丙", "乙", "mine")
    assert (line["user_name"], line["device"], line["wrote_at"]) == ("an", "phone-an", start + 2 * HOUR)
    assert (line["other_user_name"], line["other_device"]) == ("bo", "phone-bo")
    assert line["other_at"] == start + HOUR
    assert (line["rule"], line["state"], line["acts"]) == ("text", "auto", ["take", "leave"])
    assert "后到服务器" in line["rule_zh"]


def test_when_a_phone_wrote_is_told_by_its_clock_set_right(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case = an.capture(title="甲")
    bo.edit(bo.pull("cases")[case["id"]], title="乙")
    # The phone's clock is ten hours slow, as its hello showed; it wrote an hour ago.
    slow = 10 * HOUR
    device = district.caller("an", "phone-an").device_pk
    district.commit(remember(device, {"wall": district.now - slow}, at=district.now))
    w = f"9:{district.chance.uuid7(district.now - HOUR - slow)}"
    an.edit(case, title="丙", w=w)
    (line,) = lines(district, "clerk", case["id"])
    assert line["wrote_at"] == district.now - HOUR


def test_taking_the_other_is_an_ordinary_write_of_whoever_sits_at_the_desk(district: District) -> None:
    case = overlap(district, title="甲")
    (line,) = lines(district, "clerk", case)
    decide(district, "clerk", line["id"], "take")
    assert district.phone("bo").pull("cases")[case]["title"] == "乙"
    assert district.phone("an").pull("cases")[case]["title"] == "乙"
    last = max(district.rows("change", doc_pk=district.row("cases", case).pk), key=lambda row: row["seq"])
    assert (last["actor"], last["fields"]) == (district.users["clerk"], "title,w")
    (line,) = lines(district, "clerk", case)
    assert (line["state"], line["decision"], line["decided_by"], line["acts"]) == (
        "reviewed",
        "take",
        "clerk",
        [],
    )
    with pytest.raises(LedgerReviewed):
        decide(district, "clerk", line["id"], "take")
    assert any(row["action"] == "ledger.take" for row in district.rows("audit"))


def test_leaving_it_ends_the_line_and_writes_nothing_else(district: District) -> None:
    case = overlap(district)
    before = district.row("cases", case)
    (line,) = lines(district, "clerk", case)
    decide(district, "clerk", line["id"], "leave")
    assert district.row("cases", case) == before
    assert lines(district, "clerk", case)[0]["state"] == "reviewed"
    with pytest.raises(LedgerReviewed):
        decide(district, "clerk", line["id"], "leave")


def test_an_own_edit_after_a_decision_is_no_overlap_with_it_unnoticed(district: District) -> None:
    """The worker who was off the net meanwhile makes a line of his own: nothing is lost the second time either."""
    case = overlap(district, title="甲")
    held = district.phone("an").held["cases"][case]
    decide(district, "clerk", lines(district, "clerk", case)[0]["id"], "take")
    district.phone("an").edit(held, title="丁")
    new = lines(district, "clerk", case)[-1]
    assert (new["winner"], new["loser"], new["other_user_name"]) == ("丁", "乙", "clerk")


def test_one_field_of_a_party_is_taken_and_the_others_stay(district: District) -> None:
    party = {"id": "p1", "alias": "三楼", "phone": "13800000001"}
    case = overlap(
        district,
        "parties",
        [party | {"phone": "13800000002"}],
        [party | {"phone": "13800000003", "alias": "三楼李家"}],
        parties=[party],
    )
    (line,) = lines(district, "clerk", case)
    assert line["field"] == "parties.p1.phone"
    decide(district, "clerk", line["id"], "take")
    (held,) = district.whole("cases", case)["parties"]
    assert (held["phone"], held["alias"]) == ("13800000002", "三楼李家")


def test_a_party_that_one_removed_and_another_edited_can_be_removed_after_all(district: District) -> None:
    party = {"id": "p1", "alias": "三楼"}
    case = overlap(district, "parties", [party | {"name": "李"}], [], parties=[party])
    (line,) = lines(district, "clerk", case)
    assert (line["field"], line["loser"]) == ("parties.p1", None)
    decide(district, "clerk", line["id"], "take")
    assert not district.whole("cases", case).get("parties")


def test_a_party_that_is_gone_cannot_be_given_another_number(district: District) -> None:
    party = {"id": "p1", "phone": "13800000001"}
    case = overlap(district, "parties", [party | {"phone": "2"}], [party | {"phone": "3"}], parties=[party])
    an = district.phone("an")
    an.edit(an.pull("cases")[case], parties=[])
    with pytest.raises(LedgerGone):
        decide(district, "clerk", lines(district, "clerk", case)[0]["id"], "take")


def test_what_was_written_since_is_overwritten_only_on_purpose(district: District) -> None:
    case = overlap(district, title="甲")
    bo = district.phone("bo")
    bo.edit(bo.pull("cases")[case], title="丁")
    line = lines(district, "clerk", case)[0]["id"]
    with pytest.raises(LedgerMovedOn):
        decide(district, "clerk", line, "take")
    decide(district, "clerk", line, "take", over=True)
    assert district.whole("cases", case)["title"] == "乙"


def test_a_field_that_the_status_fixes_is_not_taken(district: District) -> None:
    case = admitted(district)
    an = district.phone("an")
    held = an.pull("cases")[case]
    an.edit(held, kind="request")
    (line,) = lines(district, "clerk", case)
    assert line["rule"] == "fixed"
    with pytest.raises(LedgerFixed):
        decide(district, "clerk", line["id"], "take")
    assert lines(district, "clerk", case)[0]["state"] == "auto"
    title = overlap(district)
    district.act("clerk", title, "void", reason="误报")
    with pytest.raises(LedgerFixed):
        decide(district, "clerk", lines(district, "clerk", title)[0]["id"], "take")


def test_what_only_rises_is_not_taken_down(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case = an.capture(urgency="normal")
    bo.edit(bo.pull("cases")[case["id"]], protection="restricted")
    pk = district.row("cases", case["id"]).pk
    an.edit(case, protection="normal", title="x")
    an.edit(an.pull("cases")[case["id"]], protection="normal")
    for line in [line for line in lines(district, "clerk", case["id"]) if line["field"] == "protection"]:
        with pytest.raises(LedgerFixed):
            decide(district, "clerk", line["id"], "take")
    assert district.row("cases", case["id"]).klass == 1
    assert district.rows("ledger", doc_pk=pk, field="protection")


def test_a_value_that_is_no_longer_valid_is_not_taken(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = overlap(district, "category", "0202", "0203")
    (line,) = lines(district, "clerk", case)
    table = {code: row for code, row in TABLES["categories"].items() if code != "0202"}
    monkeypatch.setattr(model, "_LOOKUPS", dict(model._LOOKUPS) | {"cases": (("category", table),)})
    monkeypatch.setitem(TABLES, "categories", table)
    with pytest.raises(LedgerInvalid):
        decide(district, "clerk", line["id"], "take")


def test_an_entry_is_written_once_and_its_other_text_is_read_by_those_who_see_the_entry(
    district: District,
) -> None:
    an = district.phone("an")
    case = an.capture()["id"]
    note = an.entry(case, "session", {"minutes": "双方各退一步"})
    an.push("entries", note)
    an.push("entries", note | {"body": {"minutes": CANARY}, "w": an.next_w()})
    (line,) = lines(district, "clerk", case)
    assert (line["collection"], line["field"], line["rule"]) == ("entries", "body", "written_once")
    assert CANARY in json.dumps(lines(district, "an", case), ensure_ascii=False)  # who wrote it
    assert lines(district, "bo", case) == []  # minutes are not the neighbour's
    with pytest.raises(NotFound):
        decide(district, "bo", line["id"], "leave")
    with pytest.raises(LedgerFixed):
        decide(district, "clerk", line["id"], "take")
    decide(district, "clerk", line["id"], "leave")
    assert lines(district, "clerk", case)[0]["decision"] == "leave"


def test_whoever_does_not_see_the_case_in_full_finds_no_line(district: District) -> None:
    case = overlap(district, "description", CANARY, "另一段")
    (line,) = lines(district, "clerk", case)
    district.act("director", case, "recuse", user=user_id("bo"), reason="亲属")
    for who in ("bo", "secretary", "cui", "auditor"):
        with pytest.raises(NotFound):
            decide(district, who, line["id"], "take")
        with pytest.raises(NotFound):
            decide(district, who, 999_999, "take")
    with pytest.raises(NotFound):
        lines(district, "bo", case)
    district.act("director", case, "protect", **{"class": "sealed", "reason": "未成年人"})
    with pytest.raises(NotFound):
        decide(district, "dispatcher", line["id"], "take")
    decide(district, "director", line["id"], "take")
    assert district.whole("cases", case)["description"] == CANARY


def test_what_was_erased_is_not_there_any_more(district: District) -> None:
    case = overlap(district, "description", CANARY, "另一段")
    (line,) = lines(district, "clerk", case)
    district.commit(erase_work(Collection.cases, case))
    with pytest.raises(NotFound):
        decide(district, "clerk", line["id"], "take")


def test_a_line_whose_values_were_erased_says_so_and_is_not_taken(district: District) -> None:
    case = overlap(district)
    (line,) = lines(district, "clerk", case)
    district.store.write(lambda tx: tx.update("ledger", {"pk": line["id"]}, {"payload": b""}))
    (line,) = lines(district, "clerk", case)
    assert (line["state"], line["loser"], line["acts"]) == ("erased", None, [])
    with pytest.raises(LedgerErased):
        decide(district, "clerk", line["id"], "take")


def test_an_identity_number_is_never_shown_and_can_be_taken(district: District) -> None:
    party = {"id": "p1", "alias": "三楼", "id_number": "410399199001010011"}
    case = overlap(
        district,
        "parties",
        [party | {"id_number": "410399199001010022"}],
        [party | {"id_number": "410399199001010033"}],
        parties=[party],
    )
    line = lines(district, "clerk", case)[-1]  # the first was bo's against the capture
    assert "4103991990010100" not in json.dumps(lines(district, "clerk", case))
    decide(district, "clerk", line["id"], "take")
    assert district.whole("cases", case)["parties"][0]["id_number"] == "410399199001010022"


def test_the_lines_of_a_visit_are_read_and_decided_by_itself(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    visit = {
        "id": an.new()["id"],
        "subject_kind": "household",
        "at": district.now,
        "notes": "甲",
        "w": an.next_w(),
    }
    held = an.push("visits", visit)
    mine = bo.pull("visits")[visit["id"]]
    bo.push("visits", mine | {"notes": "乙", "w": bo.next_w()}, base=mine)
    an.push("visits", held | {"notes": "丙", "w": an.next_w()}, base=held)

    def told(who: str) -> list[dict[str, Any]]:
        with district.store.read() as reader:
            sight = Sight(reader, district.configs.get(reader), district.users[who], district.keys)
            return lines_of(sight, Collection.visits, visit["id"])[1]

    (line,) = told("clerk")
    assert (line["winner"], line["loser"]) == ("丙", "乙")
    with pytest.raises(NotFound):
        told("cui")
    decide(district, "clerk", line["id"], "take")
    assert an.pull("visits")[visit["id"]]["notes"] == "乙"
