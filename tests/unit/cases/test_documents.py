"""What of a pushed document is kept, what is sent to whom, and what the published schema says of it."""

import json
from typing import Any

import pytest

from sync.cases.fields import FIELDS, OWNERS, SEALS, sealed_names
from sync.cases.lifecycle import on_entry
from sync.cases.model import (
    COLLECTIONS,
    category_group,
    checked,
    display_title,
    instant_of,
    json_schema,
    mask_parties,
    neutral,
    project,
    strip_secret,
)

ID = "01890000-0000-7000-8000-000000000001"
CASE: dict[str, Any] = {
    "id": ID,
    "kind": "dispute",
    "captured_at": 1_800_000_000_000,
    "category": "0201",
    "location": {
        "lon": 112.4,
        "lat": 34.6,
        "crs": "gcj02",
        "accuracy_m": 8,
        "confidence": None,
        "source": "gps",
    },
    "parties": [
        {
            "id": "a",
            "role": "applicant",
            "alias": "老李",
            "name": "李建国",
            "phone": "13800001111",
            "id_number": "41",
        }
    ],
    "signals": ["drink"],
    "w": f"1:{ID}",
}


def codes_of(doc: Any, collection: Any = "cases") -> Any:
    return {(issue.field, issue.code) for issue in checked(collection, doc).issues}


def test_every_field_has_an_owner_and_a_seal() -> None:
    for collection, fields in FIELDS.items():
        assert len({field.name for field in fields}) == len(fields), collection
        assert all(field.owner in OWNERS and field.seal in SEALS for field in fields)


def test_a_sound_case_is_kept_as_it_was_sent() -> None:
    out = checked("cases", CASE)
    assert out.values == CASE
    assert (out.issues, out.rest, out.usable) == ([], {}, True)


def test_the_least_capture_is_kind_and_instant() -> None:
    least = {"id": ID, "kind": "request", "captured_at": 1}
    assert checked("cases", least).issues == []
    assert codes_of({"id": ID, "kind": "request"}) == {("captured_at", "missing")}


def test_what_belongs_to_the_server_is_left_out_without_a_word() -> None:
    out = checked(
        "cases", {**CASE, "status": "closed", "v": 9, "code": 7, "_deleted": False, "track": {"x": 1}}
    )
    assert out.values == CASE
    assert (out.issues, out.rest) == ([], {})


def test_an_explicit_null_is_kept_and_an_absent_field_is_unknown() -> None:
    out = checked("cases", {**CASE, "address": None})
    assert out.values["address"] is None
    assert "wishes" not in out.values


@pytest.mark.parametrize(
    ("doc", "reason"),
    [
        ({"kind": "dispute"}, "id_missing"),
        ({"id": "7", "kind": "dispute"}, "id_shape"),
        ({"id": ID}, "kind_missing"),
        ({"id": ID, "kind": "revolt"}, "kind_unknown"),
        ({"id": ID, "kind": 5}, "kind_unknown"),
    ],
)
def test_a_row_without_identity_or_kind_cannot_be_used(doc: Any, reason: Any) -> None:
    out = checked("cases", doc)
    assert (out.usable, out.reason, out.rest) == (False, reason, doc)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("title", "字" * 201, "too_long"),
        ("title", 5, "value_invalid"),
        ("category", "0999", "code_unknown"),
        ("people_count", -1, "value_invalid"),
        ("people_count", True, "value_invalid"),
        ("urgency", "panic", "value_invalid"),
        ("captured_at", "yesterday", "value_invalid"),
        ("household_id", "12", "value_invalid"),
        ("location", {"lon": 1, "lat": 2}, "crs_missing"),
        ("location", {"lon": 500, "lat": 2, "crs": "wgs84"}, "value_invalid"),
        ("on_spot", "说开了", "value_invalid"),
        ("colour_of_roof", "red", "unknown_field"),
    ],
)
def test_a_faulty_field_goes_aside_and_the_row_stays(name: Any, value: Any, code: Any) -> None:
    out = checked("cases", {**CASE, name: value})
    assert out.usable
    assert out.rest == {name: value}
    assert [(issue.field, issue.code) for issue in out.issues] == [(name, code)]
    assert name not in out.values
    assert out.values["kind"] == "dispute"


def test_one_unknown_tick_does_not_take_the_others_with_it() -> None:
    out = checked("cases", {**CASE, "signals": ["drink", "ufo", "x_flood"]})
    assert out.values["signals"] == ["drink", "x_flood"]
    assert out.rest == {"signals": ["ufo"]}


def test_a_party_keeps_what_is_sound_of_it() -> None:
    parties = [
        {"id": "a", "alias": "李", "phone": 138},
        {"alias": "没有编号"},
        {"id": "a", "alias": "重复"},
        "王",
    ]
    out = checked("cases", {**CASE, "parties": parties})
    assert out.values["parties"] == [{"id": "a", "alias": "李"}]
    assert len(out.rest["parties"]) == 4
    assert ("parties.phone", "value_invalid") in {(i.field, i.code) for i in out.issues}


def test_a_party_known_only_by_a_name_in_the_yard_is_enough() -> None:
    assert checked("cases", {**CASE, "parties": [{"id": "a", "alias": "三楼姓李的"}]}).issues == []


def test_times_written_as_text_become_instants_in_civil_time() -> None:
    out = checked("cases", {**CASE, "captured_at": "2026-11-23T09:00:00+08:00"})
    assert out.values["captured_at"] == instant_of("2026-11-23T01:00:00Z") == instant_of("2026-11-23 09:00")


def test_a_visit_is_dated_by_the_half_day() -> None:
    visit = {"id": ID, "subject_kind": "household", "at": instant_of("2026-11-23T15:47:12+08:00")}
    assert checked("visits", visit).values["at"] == instant_of("2026-11-23T12:00:00+08:00")


def test_an_entry_of_an_unknown_type_cannot_be_used() -> None:
    entry = {"id": ID, "case_id": ID, "type": "horoscope", "body": {}}
    assert checked("entries", entry).reason == "type_unknown"


def test_a_row_that_is_no_object_cannot_be_used() -> None:
    junk: Any = ["x"]
    assert checked("cases", junk).reason == "not_an_object"


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_any_junk_is_sorted_and_never_raises(collection: Any) -> None:
    for junk in (
        {},
        {"id": None},
        {"id": ID, "x": {"y": [1] * 9}},
        {"id": {"a": 1}},
        {"id": ID, "parties": 5},
    ):
        checked(collection, junk)


# -- what is sent -------------------------------------------------------------------------------

HELD = {**CASE, "status": "accepted", "protection": "normal", "cell": "c", "v": 3, "level": 1, "code": "n",
        "recused": ["x"], "track": {"workers": []}, "query_code": "q", "due": [], "supervision": "none"}  # fmt: skip


def test_nobody_is_sent_id_numbers_query_code_or_the_track() -> None:
    for form in ("full", "plain", "shell", "facts", "notice"):
        text = json.dumps(project("cases", HELD, form, centre=True))
        assert "id_number" not in text
        assert "query_code" not in text
        assert "track" not in text


def test_only_the_centre_is_sent_who_is_recused() -> None:
    assert "recused" not in project("cases", HELD, "full")
    assert project("cases", HELD, "full", centre=True)["recused"] == ["x"]


def test_the_plain_form_leaves_out_and_does_not_mask_in_place() -> None:
    out = project("cases", HELD, "plain")
    assert out["parties"] == [{"id": "a", "role": "applicant", "alias": "老李"}]
    assert out["parties_masked"] == [{"id": "a", "role": "applicant", "name": "李**", "phone": "138****1111"}]
    assert "parties_masked" not in project("cases", HELD, "full")


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("shell", {"id", "cell", "status", "protection", "v"}),
        ("facts", {"id", "cell", "category_group", "level", "due", "supervision", "v"}),
        ("notice", {"id", "code", "status", "v"}),
    ],
)
def test_the_narrow_forms_hold_what_they_are_named_for(form: Any, names: Any) -> None:
    assert set(project("cases", HELD, form)) == names


def test_what_is_stripped_can_be_put_back_by_party() -> None:
    wire, secret = strip_secret(CASE["parties"])
    assert "id_number" not in wire[0]
    assert secret == {"a": {"id_number": "41"}}


def test_masks_give_away_neither_short_numbers_nor_names() -> None:
    assert mask_parties([{"id": "a", "name": "李", "phone": "110"}])[0] == {
        "id": "a", "role": None, "name": "李", "phone": "****"
    }  # fmt: skip


def test_a_nameless_case_is_called_by_what_is_known() -> None:
    assert display_title({"kind": "dispute", "title": "漏水"}) == "漏水"
    assert display_title({"kind": "dispute", "description": "楼上漏水。已经三天"}) == "楼上漏水"
    assert display_title({"kind": "dispute", "category": "0201", "address": "三号院"}) == "三号院 漏水、渗水"
    assert display_title({"kind": "request"}) == "民生诉求"


def test_the_group_of_a_category() -> None:
    assert [category_group(code) for code in ("0203", "R02", "x_own", None)] == ["02", "R", None, None]


def test_what_is_sealed_grows_with_the_class() -> None:
    assert "title" not in sealed_names("cases")
    assert {"title", "wishes", "parties"} <= sealed_names("cases", protection="sealed")
    assert "body" in sealed_names("entries", entry_class="c")
    assert "body" not in sealed_names("entries")


# -- the published schema -----------------------------------------------------------------------


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_the_schema_names_every_field_that_travels_and_no_other(collection: Any) -> None:
    schema = json_schema(collection)
    travelling = {field.name for field in FIELDS[collection] if field.seal != "secret"} | {"_deleted"}
    assert set(schema["properties"]) == travelling
    assert "$ref" not in json.dumps(schema)
    assert schema["primaryKey"] == "id"
    assert schema["properties"]["id"]["maxLength"] > 0


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_tombstone_fits_the_schema_and_says_nothing(collection: Any) -> None:
    schema = json_schema(collection)
    stone = neutral(collection, ID)
    assert stone["_deleted"] is True
    assert set(schema["required"]) <= set(stone) <= set(schema["properties"])
    for name, value in stone.items():
        enum = schema["properties"][name].get("enum")
        assert enum is None or value in enum
    assert neutral(collection, "y") == {**stone, "id": "y"}


def test_a_shell_fits_the_schema() -> None:
    assert set(json_schema("cases")["required"]) <= set(project("cases", HELD, "shell"))


# -- entries by themselves ----------------------------------------------------------------------


def test_reaching_a_party_is_heard_and_trying_is_not() -> None:
    assert [event.kind for event in on_entry("contact_attempt", {"reached": True}).events] == [
        "case.contacted"
    ]
    assert on_entry("contact_attempt", {"reached": False}).events == ()


def test_a_check_on_site_closes_its_task() -> None:
    assert on_entry("field_check", {}).close_tasks == ("check",)
