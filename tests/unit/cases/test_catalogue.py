"""The tables of the field, and what a district may make of them."""

from typing import Any

import pytest

from sync.cases.catalogue import (
    BANDS,
    CATEGORIES,
    ENTRY_TYPES,
    KINDS,
    LEVELS,
    OPEN_TABLES,
    PROTECTIONS,
    REACHES,
    ROLES,
    SIGNALS,
    TABLES,
    VIAS,
    band_of,
    highest,
)
from sync.cases.district import catalogue_json, faults_of


def test_every_row_has_words_in_both_languages() -> None:
    for table, rows in TABLES.items():
        for code, row in rows.items():
            assert row.zh, (table, code)
            assert row.en, (table, code)


def test_every_category_belongs_to_a_kind_and_a_class() -> None:
    for row in CATEGORIES.values():
        assert row.kind in KINDS
        assert row.protection in PROTECTIONS
        assert set(row.flags) <= set("cpnb")
    assert {row.kind for row in CATEGORIES.values()} == set(KINDS)


def test_every_role_says_how_far_it_reaches() -> None:
    for row in ROLES.values():
        assert row.rights
        assert all(right.via in VIAS and right.reach in REACHES for right in row.rights)
    assert (ROLES["grid_worker"].via, ROLES["grid_worker"].reach) == ("cell", "worker")
    assert [(r.via, r.reach) for r in ROLES["community_officer"].rights] == [
        ("cell", "lead"),
        ("unit", "handler"),
    ]


def test_levels_and_entry_classes_are_those_of_the_field() -> None:
    assert list(LEVELS) == ["0", "1", "2", "3"]
    assert {row.class_ for row in ENTRY_TYPES.values()} == {"o", "c", "s"}


@pytest.mark.parametrize(
    ("people", "band"), [(1, "individual"), (5, "ordinary"), (10, "ordinary"), (11, "larger"), (51, "major"),
                         (100, "major"), (101, "very_large"), (501, "extreme")]
)  # fmt: skip
def test_the_scale_of_a_case(people: Any, band: Any) -> None:
    assert band_of(people) == band
    assert band_of(None) is None


def test_the_bands_leave_no_gap() -> None:
    rows = list(BANDS.values())
    assert [row.from_ for row in rows[1:]] == [row.to + 1 for row in rows[:-1] if row.to is not None]


def test_danger_now_proposes_an_emergency() -> None:
    assert {code for code, row in SIGNALS.items() if row.urgency} == {"violence_now", "weapon", "hazard_life"}


def test_the_highest_of_classes_takes_the_unknown_for_the_lowest() -> None:
    assert highest(PROTECTIONS, None, "restricted", "nonsense", "normal") == "restricted"
    assert highest(PROTECTIONS) == "normal"


# -- a district's own words ---------------------------------------------------------------------


def test_a_district_may_call_things_differently_and_hide_them() -> None:
    out = catalogue_json(
        {"sources": [{"code": "hotline", "zh": "便民热线"}, {"code": "court", "hidden": True}]}
    )
    rows = {row["code"]: row for row in out["tables"]["sources"]}
    assert rows["hotline"]["zh"] == "便民热线"
    assert rows["hotline"]["found_by"] == "transfer"
    assert rows["court"]["hidden"] is True


def test_a_district_may_add_rows_of_its_own_where_the_table_is_open() -> None:
    own = {"categories": [{"code": "x_boat", "kind": "dispute", "zh": "船位", "protection": "restricted"}]}
    assert faults_of(own) == []
    assert catalogue_json(own)["tables"]["categories"][-1]["code"] == "x_boat"


@pytest.mark.parametrize(
    ("table", "row", "fault"),
    [
        ("roles", {"code": "x_king", "zh": "王"}, "table_closed"),
        ("statuses", {"code": "x_lost", "zh": "丢"}, "table_closed"),
        ("sources", {"code": "telepathy", "zh": "心"}, "row_unknown"),
        ("sources", {"code": "x_", "zh": "空"}, "row_unknown"),
        ("statuses", {"code": "closed", "open": True}, "fixed"),
        ("categories", {"code": "x_a", "zh": "甲"}, "shape"),
        ("categories", {"code": "x_a", "zh": "甲", "kind": "war"}, "shape"),
        ("categories", {"code": "x_a", "zh": "甲", "kind": "dispute", "protection": "cosmic"}, "shape"),
        ("sources", {"code": "x_a", "zh": 5}, "shape"),
        ("dreams", {"code": "x_a", "zh": "甲"}, "table_unknown"),
    ],
)
def test_what_would_change_a_meaning_is_not_taken_over(table: Any, row: Any, fault: Any) -> None:
    assert [found.fault for found in faults_of({table: [row]})] == [fault]
    with pytest.raises(ValueError, match=table):
        catalogue_json({table: [row]})


def test_a_code_is_used_once() -> None:
    row = {"code": "x_a", "zh": "甲"}
    assert [found.fault for found in faults_of({"sources": [row, row]})] == ["code_twice"]


def test_the_open_tables_exist() -> None:
    assert set(TABLES) >= OPEN_TABLES


def test_the_digest_follows_the_content() -> None:
    plain = catalogue_json()
    assert plain["sha256"] == catalogue_json({})["sha256"]
    assert plain["sha256"] != catalogue_json({"kinds": [{"code": "dispute", "zh": "纠纷"}]})["sha256"]
    assert {act["act"] for act in plain["any_status_acts"]} >= {"rate", "recuse"}
    assert plain["lifecycles"]["dispute"][1]["from"] == ("-", "submitted", "accepted")
