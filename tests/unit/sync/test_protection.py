"""What is sealed, who is kept from a case, what is forgotten: looked for in the raw rows and in the file itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sync import casework, content
from sync.erasing import erase_work
from sync.errors import KeyLost, NotFound
from sync.values import Collection
from tests.unit.sync.district import FAR, HOME, HOUR, NEXT, PEOPLE, user_id

if TYPE_CHECKING:
    from tests.unit.sync.district import District

PHONE_NUMBER, NAME, ID_NUMBER = "13987654321", "欧阳晓燕", "410303198001019876"
TITLE, STORY, WISH, ADDRESS = "婆媳为带孩子争吵", "昨晚又动了手", "希望分开住", "幸福里七号楼"
STAFF = {"long", "officer", "secretary", "bo"}


def delicate(**over: Any) -> dict[str, Any]:
    return {
        "title": TITLE,
        "description": STORY,
        "wishes": WISH,
        "address": ADDRESS,
        "parties": [{"id": "p1", "role": "applicant", "alias": "小燕", "name": NAME, "phone": PHONE_NUMBER}],
    } | over


def escaped(text: str) -> set[bytes]:
    return {text.encode(), json.dumps(text)[1:-1].encode(), text.encode("utf-16-le")}


def found_in(haystack: bytes, *texts: str) -> set[str]:
    return {text for text in texts if any(form in haystack for form in escaped(text))}


# --- sealing ---------------------------------------------------------------------------------------------------------


def test_parties_of_a_normal_case_stand_nowhere_in_the_file_in_the_clear(district: District) -> None:
    an = district.phone("an")
    case = an.capture(**delicate())
    an.edit(case, parties=[case["parties"][0] | {"phone": "13911112222"}])
    district.phone("bo").edit(case, parties=[case["parties"][0] | {"phone": "13933334444"}])
    an.push("cases", case | {"_deleted": True})  # a copy of it lies in quarantine
    disk = district.bytes_on_disk()
    assert found_in(disk, PHONE_NUMBER, NAME, "小燕", "13911112222", "13933334444") == set()
    assert found_in(disk, TITLE) == {TITLE}  # the search itself works


def test_without_sealing_the_search_would_find_them(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bug: nothing is set apart before a row is written."""
    monkeypatch.setitem(content.PERSONAL, "cases", frozenset())
    for table in ("_parts_of", "_apart"):
        monkeypatch.setattr(content, table, getattr(content, table).__wrapped__)
    district.phone("an").capture(**delicate())
    assert found_in(district.bytes_on_disk(), PHONE_NUMBER, NAME) == {PHONE_NUMBER, NAME}


def test_of_a_case_above_normal_the_words_too_are_sealed(district: District) -> None:
    an = district.phone("an")
    case = an.capture(
        **delicate(protection="restricted", on_spot={"how": "当面说和", "agreement_text": STORY})
    )
    an.edit(case, description=STORY + "又")
    an.push("entries", an.entry(case["id"], body={"text": STORY}))
    assert found_in(district.bytes_on_disk(), TITLE, STORY, WISH, ADDRESS, NAME, PHONE_NUMBER) == set()
    assert an.pull("cases")[case["id"]]["title"] == TITLE


def test_raising_the_class_seals_what_was_clear(district: District) -> None:
    an = district.phone("an")
    case = an.capture(**delicate())
    assert TITLE.encode() in district.row("cases", case["id"]).clear
    an.edit(case, title=TITLE + "!")  # the former title lies in the history
    note = an.push("entries", an.entry(case["id"], body={"text": STORY}))
    assert found_in(district.row("entries", note["id"]).clear, STORY) == {STORY}
    answer = an.edit(an.pull("cases")[case["id"]], protection="restricted")
    row = district.row("cases", case["id"])
    assert found_in(row.clear, TITLE, STORY, WISH, ADDRESS) == set()
    assert all(found_in(past["delta"], TITLE) == set() for past in district.rows("change", doc_pk=row.pk))
    assert answer["title"] == TITLE + "!"
    assert found_in(district.row("entries", note["id"]).clear, STORY) == set()
    assert an.pull("entries")[note["id"]]["body"] == {"text": STORY}
    district.act("director", case["id"], "protect", **{"class": "normal", "reason": "误标"})
    assert TITLE.encode() in district.row("cases", case["id"]).clear
    assert an.pull("entries")[note["id"]]["body"] == {"text": STORY}


def test_an_identity_number_is_in_no_answer(district: District) -> None:
    an = district.phone("an")
    party = {"id": "p1", "role": "applicant", "name": NAME, "id_number": ID_NUMBER}
    case = an.capture(parties=[party])
    an.edit(case, parties=[case["parties"][0] | {"id_number": "410303198001019999"}])
    for name in PEOPLE:
        for collection in Collection:
            district.phone(name).pull(collection.name)
    sent = b"\n".join(district.sent)
    assert found_in(sent, ID_NUMBER, "410303198001019999", "id_number") == set()
    assert found_in(sent, NAME) == {NAME}
    assert district.whole("cases", case["id"])["parties"][0]["id_number"] == "410303198001019999"


def test_minutes_of_a_mediation_are_sealed_and_sent_to_handlers_only(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    entry = an.entry(case["id"], "session", {"mode": "face", "result": STORY})
    district.phone("dispatcher").push("entries", entry)
    assert found_in(district.bytes_on_disk(), STORY) == set()
    assert {name for name in PEOPLE if entry["id"] in district.phone(name).pull("entries")} == {
        "clerk",
        "dispatcher",
        "director",
    }


def test_sealed_content_moved_to_another_row_does_not_open(district: District) -> None:
    from msgspec import structs

    an = district.phone("an")
    first, second = an.capture(**delicate()), an.capture(**delicate())
    moved = structs.replace(district.row("cases", first["id"]), id=district.row("cases", second["id"]).id)
    with pytest.raises(KeyLost):
        content.whole(moved, district.keys)


# --- who sees what ---------------------------------------------------------------------------------------------------


def test_who_sees_a_normal_a_restricted_and_a_sealed_case(district: District) -> None:
    an = district.phone("an")
    seen = {
        protection: district.who_sees(an.capture(protection=protection)["id"])
        for protection in ("normal", "restricted", "sealed")
    }
    above = {"officer", "secretary", "street", "head"}
    centre = {"clerk", "dispatcher", "director"}
    assert seen["normal"] == seen["restricted"] == {"an", "bo", "long", *above, *centre}
    assert seen["sealed"] == {"an", "director", "clerk"}  # the clerk whom the setting names


def test_sealing_takes_the_case_from_every_other_phone_and_closes_their_names(district: District) -> None:
    an = district.phone("an")
    case = an.capture(**delicate())
    others = [district.phone(name) for name in ("bo", "long", "secretary", "dispatcher")]
    for phone in others:
        assert case["id"] in phone.pull("cases")
    an.edit(case, protection="sealed")
    assert all(phone.pull("cases") == {} for phone in others)
    assert case["id"] in district.phone("director").pull("cases")
    assert case["id"] in an.pull("cases")


def test_a_sealed_case_leaves_its_author_with_the_first_re_assignment(district: District) -> None:
    case = district.phone("an").capture(protection="sealed")
    district.act("clerk", case["id"], "set_place", cell=FAR, evidence="到过现场")
    assert district.who_sees(case["id"]) == {"director", "clerk"}


def test_dispatch_names_the_person_of_a_sealed_case(district: District) -> None:
    case = district.phone("an").capture(protection="sealed")["id"]
    triage = {"category": "0201", "basis": "lawful", "risk": "blue", "reason": "一般", "channel": "grid"}
    district.act("clerk", case, "triage", **triage)
    district.act("clerk", case, "admit", given_to="本人")
    with pytest.raises(NotFound):
        district.act("dispatcher", case, "dispatch", unit="JUSTICE", user=user_id("mediator"))
    district.act(
        "director", case, "dispatch", unit="JUSTICE", user=user_id("mediator"), mediation_channel="grid"
    )
    assert district.who_sees(case) == {"an", "director", "clerk", "mediator"}


def test_a_staff_case_is_seen_by_its_author_and_the_centre_never_by_the_staff(district: District) -> None:
    an = district.phone("an")
    watching = [district.phone(name) for name in STAFF]
    case = an.capture(involves_staff=True)
    assert district.who_sees(case["id"]) == {"an", "street", "head", "clerk", "dispatcher", "director"}
    district.now += HOUR
    district.act("clerk", case["id"], "rate", colour="blue", reason="一般")
    an.push("entries", an.entry(case["id"]))
    assert all(phone.pull("cases") == {} and phone.pull("entries") == {} for phone in watching)
    # Not even a tombstone told them of it.
    told = b"".join(body for body in district.sent if case["id"].encode() in body)
    assert b'"_deleted":true' not in told
    assert "recused" not in an.pull("cases")[case["id"]]
    assert {row["user_pk"] for row in district.rows("naming", denied=True)} == {
        district.users[n] for n in STAFF
    }


def test_a_case_that_turns_out_to_be_about_staff_is_taken_from_them(district: District) -> None:
    an = district.phone("an")
    case = an.capture()
    an.push("entries", an.entry(case["id"]))
    watching = [district.phone(name) for name in STAFF]
    for phone in watching:
        assert case["id"] in phone.pull("cases")
        assert phone.pull("entries")
    an.edit(case, involves_staff=True)
    assert all(phone.pull("cases") == {} and phone.pull("entries") == {} for phone in watching)
    assert case["id"] in an.pull("cases")


def test_a_staff_case_that_moves_is_kept_from_the_staff_of_the_new_cell(district: District) -> None:
    case = district.phone("an").capture(involves_staff=True)
    district.act("clerk", case["id"], "set_place", cell=NEXT, evidence="到过现场")
    assert "cui" not in district.who_sees(case["id"])


def test_without_the_denials_the_secretary_would_see_it(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bug: the flag is stored and nobody is recused."""
    monkeypatch.setattr(casework, "recuse_staff", lambda *_: None)
    case = district.phone("an").capture(involves_staff=True)
    assert district.who_sees(case["id"]) >= STAFF


def test_a_recusal_takes_the_case_and_lifting_it_brings_it_back(district: District) -> None:
    case = district.phone("an").capture()["id"]
    bo = district.phone("bo")
    assert case in bo.pull("cases")
    district.act("director", case, "recuse", user=user_id("bo"), reason="亲属")
    assert bo.pull("cases") == {}
    with pytest.raises(NotFound):
        district.act("bo", case, "raise_signal", signal="weapon")
    district.act("director", case, "lift_recusal", user=user_id("bo"), reason="查无此事")
    assert case in bo.pull("cases")


def test_an_unknown_case_and_an_invisible_one_fail_alike_at_a_desk(district: District) -> None:
    hidden = district.phone("an").capture()["id"]
    errors = []
    for case_id in (hidden, district.phone("cui").new()["id"], "no-id"):
        with pytest.raises(NotFound) as caught:
            district.act("cui", case_id, "no_such_act")
        errors.append((caught.value.code, caught.value.detail, caught.value.extra))
    assert errors[0] == errors[1] == errors[2]


# --- forgetting ------------------------------------------------------------------------------------------------------


def test_an_erased_case_is_gone_from_phones_history_ledger_quarantine_and_file(district: District) -> None:
    an, bo, long = district.phone("an"), district.phone("bo"), district.phone("long")
    case = an.capture(**delicate())
    entry = an.push("entries", an.entry(case["id"], body={"text": STORY}))
    bo.edit(case, title=TITLE + "乙", parties=[case["parties"][0] | {"name": NAME + "乙"}])
    an.edit(case, title=TITLE + "丙", people_count="许多" + NAME)
    an.push("cases", case | {"_deleted": True})
    for phone in (an, bo, long):
        phone.pull("cases")
        phone.pull("entries")
    assert district.rows("ledger")
    assert district.rows("quarantine")
    copied = district.row("cases", case["id"])  # as a backup may hold it
    assert district.commit(erase_work(Collection.cases, case["id"])).documents >= 2
    for phone in (an, bo, long):
        assert phone.pull("cases") == {}
        assert phone.pull("entries") == {}
    for collection, key in (("cases", case["id"]), ("entries", entry["id"])):
        row = district.row(collection, key)
        assert row.gone is not None
        assert (row.dek, row.sealed, row.w, row.digest, row.code) == (None, None, None, None, None)
        assert row.clear == f'"id":"{key}"'.encode()
        assert row.born <= copied.v
    assert district.store.scrub()
    assert found_in(district.bytes_on_disk(), TITLE, STORY, NAME, PHONE_NUMBER, WISH, ADDRESS) == set()
    assert all(row["payload"] == b"" for row in district.rows("ledger"))
    assert all(row["dek"] is None for row in district.rows("quarantine", state="erased"))


def test_an_erased_case_sent_again_does_not_come_back(district: District) -> None:
    an = district.phone("an")
    sent = an.new()
    an.push("cases", sent)
    district.commit(erase_work(Collection.cases, sent["id"]))
    assert an.push("cases", sent)["_deleted"] is True
    with pytest.raises(NotFound):
        district.act("clerk", sent["id"], "triage")
    # What the phone sends is kept: whether it may be, a person decides.
    assert [row["reason"] for row in district.kept_aside(doc_id=sent["id"])] == ["out_of_scope"]
    district.commit(erase_work(Collection.cases, sent["id"]))  # it may not
    (kept,) = district.rows("quarantine", doc_id=sent["id"])
    assert (kept["payload"], kept["dek"], kept["w"], kept["state"]) == (b"", None, None, "erased")


def test_neighbours_of_an_erased_case_still_open(district: District) -> None:
    an = district.phone("an")
    first, second = an.capture(**delicate()), an.capture(**delicate())
    district.commit(erase_work(Collection.cases, first["id"]))
    assert district.whole("cases", second["id"])["parties"][0]["name"] == NAME
    assert second["id"] in district.phone("bo").pull("cases")
    assert second["cell"] == HOME


def test_whoever_leaves_office_keeps_no_case_he_was_named_for(district: District) -> None:
    an = district.phone("an")
    case = an.capture(protection="sealed", category="0106")
    director = district.phone("director")
    assert case["id"] in director.pull("cases")
    district.end_grant("director")
    assert director.pull("cases") == {}
    assert case["id"] in an.pull("cases")
