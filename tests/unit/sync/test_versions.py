"""Phones of several ages: what an older app is sent and says, and what an updated one catches up on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sync import hello, versions
from sync.cases.fields import FIELDS
from sync.cases.schema import json_schema
from sync.errors import BadCheckpoint
from sync.values import Collection
from tests.unit.sync.district import HOME, middle_of, user_id

if TYPE_CHECKING:
    from tests.unit.sync.district import District, Phone

CAPTION = "漏水点在厨房吊顶"


def picture(phone: Phone, case: str, **fields: Any) -> dict[str, Any]:
    return {"id": phone.new()["id"], "owner_id": case, "kind": "photo", "w": phone.next_w()} | fields


def phone_of(district: District, who: str, told: int | None, device: str | None = None) -> Phone:
    phone = district.phone(who, device)
    phone.told = told
    return phone


def captioned(district: District, count: int = 1) -> tuple[Phone, list[str]]:
    """The phone of an, who speaks version 2, and pictures with a caption."""
    an = phone_of(district, "an", 2)
    case = an.capture()["id"]
    pictures = [picture(an, case, caption=f"{CAPTION} {number}") for number in range(count)]
    an.push("files", *pictures)
    return an, [made["id"] for made in pictures]


# --- the table -------------------------------------------------------------------------------------------------------


def test_versions_are_counted_without_gaps_and_each_but_the_first_brought_a_field() -> None:
    numbers = [version.number for version in versions.VERSIONS]
    assert numbers == list(range(versions.OLDEST, versions.CURRENT + 1))
    brought = {field.since for fields in FIELDS.values() for field in fields}
    assert brought == set(numbers)


def test_no_field_that_came_later_is_one_without_which_an_older_row_cannot_be_read() -> None:
    assert [f.name for fields in FIELDS.values() for f in fields if f.since > 1 and f.required] == []


def test_the_schema_of_a_version_has_its_fields_and_no_later_ones() -> None:
    assert "caption" not in json_schema("files", 1)["properties"]
    assert json_schema("files", 2) == json_schema("files")


@pytest.mark.parametrize(
    ("told", "spoken"), [([], 1), (["1"], 1), (["2"], 2), (["0"], 0), (["7"], versions.CURRENT)]
)
def test_a_version_is_told_by_one_number_and_never_more_is_spoken_than_the_server_knows(
    told: list[str], spoken: int
) -> None:
    """EV1."""
    assert versions.spoken(versions.read_told(told)) == spoken


@pytest.mark.parametrize("told", [[""], ["-1"], ["1.0"], ["two"], ["²"], ["9" * 40], ["1", "2"]])
def test_what_is_no_version_is_refused(told: list[str]) -> None:
    """EV1."""
    with pytest.raises(versions.BadSchema):
        versions.read_told(told)


# --- what an older phone is sent and says ----------------------------------------------------------------------------


@pytest.mark.parametrize("told", [None, 1])
def test_an_older_phone_is_sent_nothing_it_does_not_know_in_pages_and_answers(
    district: District, told: int | None
) -> None:
    """EV2."""
    _, [shown] = captioned(district)
    bo = phone_of(district, "bo", told)
    held = bo.pull("files")[shown]
    assert "caption" not in held
    answer = bo.push("files", held | {"transcript": "水从三楼来", "w": bo.next_w()}, base=held)
    assert answer["transcript"] == "水从三楼来"
    assert "caption" not in answer


def test_a_leader_is_not_sent_the_caption_at_any_version(district: District) -> None:
    """A caption may name people: it is personal, like what was said into a voice note."""
    _, [shown] = captioned(district)
    assert "caption" not in phone_of(district, "secretary", 2).pull("files")[shown]
    assert CAPTION.encode() not in district.bytes_on_disk()


@pytest.mark.parametrize("said", [{}, {"caption": None}])
def test_what_an_older_phone_does_not_say_is_not_emptied(district: District, said: dict[str, Any]) -> None:
    """EV3."""
    _, [shown] = captioned(district)
    bo = phone_of(district, "bo", None)
    held = bo.pull("files")[shown]
    answer = bo.push("files", held | said | {"transcript": "已听写", "w": bo.next_w()}, base=held | said)
    assert district.whole("files", shown)["caption"] == f"{CAPTION} 0"
    assert not answer.get("issues")
    assert district.rows("quarantine") == []


def test_what_an_older_phone_says_beyond_its_version_is_kept_aside(district: District) -> None:
    """EV3."""
    an = phone_of(district, "an", 1)
    case = an.capture()["id"]
    answer = an.push("files", picture(an, case, caption=CAPTION))
    assert "caption" not in district.whole("files", answer["id"])
    (kept,) = district.kept_aside(doc_id=answer["id"])
    assert kept["content"] == {"caption": CAPTION}


def test_a_newer_phone_empties_a_caption_when_it_says_so(district: District) -> None:
    an, [shown] = captioned(district)
    held = an.held["files"][shown]
    an.push("files", held | {"caption": None, "w": an.next_w()}, base=held)
    assert district.whole("files", shown).get("caption") is None


def test_a_phone_newer_than_the_server_speaks_the_servers_version_and_what_it_has_more_is_kept(
    district: District,
) -> None:
    """EV1."""
    an = phone_of(district, "an", 9)
    case = an.capture(mood="blue")["id"]
    answer = an.push("files", picture(an, case, caption=CAPTION))
    assert answer["caption"] == CAPTION
    (kept,) = district.kept_aside(doc_id=case)
    assert kept["content"] == {"mood": "blue"}


def test_an_outbox_filled_before_an_update_is_read_as_what_it_was(district: District) -> None:
    """EV4: the row says under which version it was written; the answer is for the app of today."""
    an, [shown] = captioned(district)
    held = an.held["files"][shown]
    edit = held | {"caption": None, "transcript": "已听写", "w": an.next_w()}
    answer = an.push_rows("files", [{"newDocumentState": edit, "assumedMasterState": held, "schema": 1}])
    assert answer[shown]["caption"] == f"{CAPTION} 0"
    assert answer[shown]["transcript"] == "已听写"


@pytest.mark.parametrize("told", ["old", None, 99, [1], 1.5])
def test_a_row_whose_version_is_odd_is_read_as_the_request(district: District, told: Any) -> None:
    """EV4."""
    an = phone_of(district, "an", 2)
    case = an.capture()["id"]
    sent = picture(an, case, caption=CAPTION)
    assert (
        an.push_rows("files", [{"newDocumentState": sent, "schema": told}])[sent["id"]]["caption"] == CAPTION
    )


def test_one_row_too_old_to_be_read_is_a_stub_among_good_ones(district: District) -> None:
    """EV4, QU4."""
    an = phone_of(district, "an", 2)
    old, good = an.new(title="旧稿"), an.new(title="新稿")
    answer = an.push_rows("cases", [{"newDocumentState": old, "schema": 0}, {"newDocumentState": good}])
    assert answer[good["id"]]["title"] == "新稿"
    assert [issue["code"] for issue in answer[old["id"]]["issues"]] == ["unusable"]
    (kept,) = district.kept_aside(doc_id=old["id"])
    assert (kept["reason"], kept["content"]["new"]["title"]) == ("schema_too_old", "旧稿")


# --- catching up -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_an_updated_phone_catches_up_on_what_its_old_app_passed_over(district: District, limit: int) -> None:
    """EV5."""
    _, pictures = captioned(district, 7)
    bo = phone_of(district, "bo", 1)
    bo.pull("files")
    assert bo.points["files"]["f"] == 1
    bo.told = 2
    assert {bo.pull("files", limit=limit)[shown].get("caption") is not None for shown in pictures} == {True}
    assert bo.points["files"]["f"] == 2


def test_a_phone_that_told_no_version_catches_up_too_once_its_app_does(district: District) -> None:
    """EV5: a checkpoint without `f` was made under version 1."""
    _, [shown] = captioned(district)
    bo = phone_of(district, "bo", None)
    bo.pull("files")
    assert "f" not in bo.points["files"]
    bo.told = 2
    assert bo.pull("files")[shown]["caption"] == f"{CAPTION} 0"


def test_only_what_holds_something_new_comes_again_and_only_once(district: District) -> None:
    """EV5."""
    an, [shown] = captioned(district)
    case = next(iter(an.held["cases"]))
    an.push("files", *(picture(an, case) for _ in range(5)))
    bo = phone_of(district, "bo", 1)
    bo.pull("files")
    bo.told, bo.held["files"] = 2, {}
    assert list(bo.pull("files")) == [shown]
    bo.held["files"] = {}
    assert bo.pull("files") == {}


def test_where_nothing_is_owed_one_document_carries_the_checkpoint(district: District) -> None:
    """EV5: an empty page would leave the checkpoint where it is, and each pull would look through everything."""
    an = phone_of(district, "an", 1)
    case = an.capture()["id"]
    an.push("files", picture(an, case), picture(an, case))
    an.pull("files")
    an.told, an.held["files"] = 2, {}
    assert len(an.pull("files")) == 1
    assert an.points["files"]["f"] == 2


def test_a_phone_updated_in_the_middle_of_a_plan_misses_nothing(district: District) -> None:
    """EV5."""
    _, pictures = captioned(district, 7)
    bo = phone_of(district, "bo", 1)
    bo.pull("files", limit=2, pages=2)
    bo.told = 2
    bo.pull("files", limit=2, pages=1)
    assert bo.points["files"]["f"] == 1  # until the whole plan has been
    held = bo.pull("files", limit=2)
    assert {shown for shown in pictures if held[shown].get("caption")} == set(pictures)


def test_an_app_that_goes_back_and_forward_again_misses_nothing_in_between(district: District) -> None:
    """EV5."""
    an, [first] = captioned(district)
    bo = phone_of(district, "bo", 2)
    bo.pull("files")
    bo.told = 1
    case = next(iter(an.held["cases"]))
    second = an.push("files", picture(an, case, caption=CAPTION))["id"]
    assert "caption" not in bo.pull("files")[second]
    assert bo.points["files"]["f"] == 1
    bo.told = 2
    held = bo.pull("files")
    assert held[first]["caption"]
    assert held[second]["caption"] == CAPTION


def test_what_left_the_scope_is_not_sent_again_by_catching_up(district: District) -> None:
    """EV5, PL4: decided at the head, like everything else."""
    _, [shown] = captioned(district)
    bo = phone_of(district, "bo", 1)
    bo.pull("files")
    district.end_grant("bo", cell=HOME)
    bo.told = 2
    before = len(district.sent)
    assert shown not in bo.pull("files")
    assert all(CAPTION.encode() not in body for body in district.sent[before:])


def test_a_collection_without_news_in_a_version_has_nothing_to_catch_up_on(district: District) -> None:
    """EV5."""
    an = phone_of(district, "an", 1)
    an.capture(location=middle_of(HOME))
    an.pull("cases")
    an.told, an.held["cases"] = 2, {}
    assert an.pull("cases") == {}


@pytest.mark.parametrize("odd", [-1, "2", None, 1.5, True])
def test_a_checkpoint_with_an_odd_version_has_the_wrong_shape(district: District, odd: Any) -> None:
    """PL1."""
    captioned(district)
    bo = phone_of(district, "bo", 2)
    bo.pull("files")
    bo.points["files"]["f"] = odd
    with pytest.raises(BadCheckpoint):
        bo.pull("files")


def test_hello_says_what_an_updated_phone_has_to_pull(district: District) -> None:
    """EV5."""
    an, _ = captioned(district)
    with district.store.read() as reader:
        cursors = {item.name: reader.head().seq for item in Collection}

        def dirty(told: Any) -> list[str]:
            answer = hello.answer(
                reader,
                district.configs.get(reader),
                an.caller(),
                {"cursors": cursors} | told,
                wall=0,
                monotonic=0,
                words={},
            )
            assert answer["schema"] == {"spoken": 2, "current": versions.CURRENT}
            found: list[str] = answer["dirty"]
            return found

        assert dirty({}) == []
        assert dirty({"schema": {"from": 1, "to": 2}}) == ["files"]
        assert dirty({"schema": 2}) == []
        assert dirty({"schema": {"from": "x"}}) == []


# --- too old ---------------------------------------------------------------------------------------------------------


def test_what_an_app_too_old_to_be_read_hands_in_is_kept_once_and_told_once(district: District) -> None:
    """EV6."""
    an = phone_of(district, "an", 0)
    sent = [an.new(title="漏水"), an.new(title="噪音")]
    for _ in range(2):
        an.push("cases", *sent)
    kept = district.kept_aside(reason="schema_too_old")
    assert [row["content"]["new"]["title"] for row in kept] == ["漏水", "噪音"]
    assert len(district.notices_of("an")) == 2
    assert district.documents("cases") == []


def test_after_its_update_the_phone_hands_in_again_what_was_kept_and_it_is_one_case_each(
    district: District,
) -> None:
    """EV6."""
    an = phone_of(district, "an", 0)
    sent = an.new(title="漏水")
    an.push("cases", sent)
    an.told = 2
    answer = an.push("cases", sent)
    assert (answer["title"], answer.get("issues")) == ("漏水", None)
    assert len(district.documents("cases")) == 1
    assert district.ledger(sent["id"]) == []


def test_numbers_that_clients_make_up_fill_no_memory() -> None:
    before = versions._added.cache_info().currsize
    for number in (-5, -1, 99, 2**40, 2**70):
        assert versions.added(Collection.cases, number) <= versions.added(Collection.cases, 0)
        assert versions.added(Collection.cases, 0, number) <= versions.added(Collection.cases, 0)
    assert versions._added.cache_info().currsize <= before + 3


def test_what_was_kept_of_an_app_too_old_is_closed_once_its_update_hands_it_in(district: District) -> None:
    """EV6, QU3: by itself, also where a person had let it go; what is somebody else's to decide stays."""
    an, other = phone_of(district, "an", 0), phone_of(district, "an", 0, "an-2")
    taken, let_go, changed, left = (an.new(title=title) for title in ("漏水", "噪音", "停车", "路灯"))
    elsewhere = other.new(title="围墙")
    note = an.entry(taken["id"], body={"text": "又漏了"})
    an.push("cases", taken, let_go, changed, left)
    an.push("entries", note)
    other.push("cases", elsewhere)
    district.store.write(lambda tx: tx.update("quarantine", {"doc_id": let_go["id"]}, {"state": "discarded"}))
    an.told = 2
    an.push("cases", taken, let_go, changed | {"title": "停车难", "w": an.next_w()}, elsewhere)
    an.push("entries", note)
    states = {row["doc_id"]: row["state"] for row in district.rows("quarantine", reason="schema_too_old")}
    assert states == {
        taken["id"]: "arrived",
        let_go["id"]: "arrived",
        note["id"]: "arrived",
        changed["id"]: "open",  # another write: a person compares
        left["id"]: "open",
        elsewhere["id"]: "open",  # another phone's
    }
    told = [notice for notice in district.notices_of("an") if notice["code"] == "kept_arrived"]
    assert [notice["args"]["id"] for notice in told] == [taken["id"], let_go["id"], note["id"]]
    assert told[0]["args"]["text"].endswith("应用更新后手机已重新交来。")
    an.push("cases", taken)
    assert len([n for n in district.notices_of("an") if n["code"] == "kept_arrived"]) == 3


def test_what_its_author_may_not_write_any_more_has_not_arrived(district: District) -> None:
    """EV6, PU8: a stub of that very write stands, and is kept from him by now."""
    an = phone_of(district, "an", 2)
    sent = an.new(title="漏水")
    an.push_rows("cases", [{"newDocumentState": sent, "schema": 0}])
    district.act("director", sent["id"], "recuse", user=user_id("an"), reason="亲属")
    an.push("cases", sent)
    assert {row["state"] for row in district.rows("quarantine", reason="schema_too_old")} == {"open"}
    assert "kept_arrived" not in {notice["code"] for notice in district.notices_of("an")}


def test_a_row_too_old_of_which_a_stub_stands_has_arrived_once_it_is_written(district: District) -> None:
    """EV4, EV6: the same write, told in a version that can be read, fills the stub."""
    an = phone_of(district, "an", 2)
    sent = an.new(title="漏水")
    an.push_rows("cases", [{"newDocumentState": sent, "schema": 0}])
    assert [row["state"] for row in district.rows("quarantine")] == ["open"]
    an.push("cases", sent)
    assert district.whole("cases", sent["id"])["title"] == "漏水"
    assert [row["state"] for row in district.rows("quarantine")] == ["arrived"]
