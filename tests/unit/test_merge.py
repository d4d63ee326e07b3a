"""Two people wrote while neither could hear the other. Base, mine (pushed now), theirs (on the server)."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from sync.cases.fields import FIELDS
from sync.cases.merge_rules import NOT_MERGED, RULES
from sync.merge import Merged, merge, same

CASE = {
    "id": "1",
    "kind": "dispute",
    "title": "漏水",
    "urgency": "normal",
    "protection": "normal",
    "signals": [],
}


def merged(base: Any, mine: Any, theirs: Any, *, same_device: bool = False) -> Merged:
    return merge("cases", base, mine, theirs, same_device=lambda _: same_device)


def with_(**values: object) -> dict[str, object]:
    return {**CASE, **values}


def test_every_field_has_a_rule() -> None:
    for fields in FIELDS.values():
        for field in fields:
            assert field.merge in RULES or field.merge in NOT_MERGED, field.name
            assert (field.merge == "server") == (field.owner == "server"), field.name


def test_edits_of_different_fields_both_stay() -> None:
    out = merged(CASE, with_(title="三楼漏水"), with_(address="三号院"))
    assert out.values["title"] == "三楼漏水"
    assert out.values["address"] == "三号院"
    assert out.changed == {"title"}
    assert out.conflicts == ()


def test_an_untouched_field_never_overwrites_the_servers() -> None:
    assert merged(CASE, CASE, with_(title="别人改的")).changed == frozenset()


def test_two_titles_the_later_arrival_stays_and_the_other_is_kept() -> None:
    out = merged(CASE, with_(title="甲"), with_(title="乙"))
    assert out.values["title"] == "甲"
    (line,) = out.conflicts
    assert (line.field, line.base, line.winner, line.loser) == ("title", "漏水", "甲", "乙")
    assert (line.rule, line.decided) == ("text", "mine")


def test_the_same_device_follows_itself_without_a_conflict() -> None:
    out = merged(CASE, with_(title="第二次"), with_(title="第一次"), same_device=True)
    assert out.values["title"] == "第二次"
    assert out.conflicts == ()


def test_what_a_phone_does_not_mention_stays() -> None:
    theirs = with_(wishes="赔偿", description="写了很多")
    out = merged({"title": "漏水"}, {"id": "1", "title": "新"}, theirs)
    assert out.values["wishes"] == "赔偿"
    assert out.values["description"] == "写了很多"


def test_null_and_absent_are_one() -> None:
    assert merged(CASE, with_(address=None), CASE).changed == frozenset()
    assert merged(with_(address=None), with_(address=None), with_(address="后来")).values["address"] == "后来"


def test_an_erased_field_is_erased_if_nobody_else_wrote() -> None:
    assert merged(with_(address="错"), with_(address=None), with_(address="错")).values["address"] is None


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "result"),
    [
        ("normal", "restricted", "normal", "restricted"),  # raised on the phone
        ("restricted", "normal", "restricted", "restricted"),  # a phone cannot lower
        ("restricted", "restricted", "normal", "normal"),  # the centre lowered, the phone did not touch it
        ("restricted", "sealed", "normal", "sealed"),  # lowered here, raised there: the higher holds
        ("normal", "restricted", "sealed", "sealed"),
        ("normal", None, "restricted", "restricted"),
    ],
)
def test_protection_only_rises(base: Any, mine: Any, theirs: Any, result: Any) -> None:
    out = merged(with_(protection=base), with_(protection=mine), with_(protection=theirs))
    assert out.values["protection"] == result


def test_a_refused_lowering_is_in_the_ledger() -> None:
    out = merged(with_(protection="sealed"), with_(protection="normal"), with_(protection="sealed"))
    assert [(c.loser, c.decided) for c in out.conflicts] == [("normal", "theirs")]


def test_of_two_urgencies_the_higher_holds() -> None:
    out = merged(CASE, with_(urgency="urgent"), with_(urgency="emergency"))
    assert out.values["urgency"] == "emergency"


def test_ticks_of_both_are_joined_and_an_untick_counts() -> None:
    out = merged(
        with_(signals=["drink", "media"]),
        with_(signals=["media", "weapon"]),
        with_(signals=["drink", "media", "domestic"]),
    )
    assert out.values["signals"] == ["media", "domestic", "weapon"]
    assert out.conflicts == ()


def place(
    accuracy: float | None, confidence: int | None = 95, lon: float = 112.0, source: str = "gps"
) -> Any:
    return {
        "lon": lon,
        "lat": 34.0,
        "crs": "wgs84",
        "accuracy_m": accuracy,
        "confidence": confidence,
        "source": source,
    }


def test_the_more_accurate_place_wins_whichever_came_later() -> None:
    out = merged(
        with_(location=place(300)), with_(location=place(80, lon=1.0)), with_(location=place(10, lon=2.0))
    )
    assert "location" not in out.changed
    assert [c.rule for c in out.conflicts] == ["location"]


def test_accuracies_of_different_confidence_are_compared_at_the_same_one() -> None:
    fine, coarse = place(10, 95, lon=1.0), place(8, 68, lon=2.0)
    assert merged(CASE, with_(location=coarse), with_(location=fine)).changed == frozenset()


def test_a_pin_set_by_a_person_beats_a_network_fix() -> None:
    pin = place(None, None, source="map_pin")
    out = merged(CASE, with_(location=pin), with_(location=place(400, source="network")))
    assert out.values["location"] == pin


def test_an_anonymous_tick_of_one_is_kept_against_the_other() -> None:
    assert merged(CASE, with_(is_anonymous=False), with_(is_anonymous=True)).values["is_anonymous"] is True


def test_parties_merge_by_person_and_field() -> None:
    base = with_(parties=[{"id": "a", "alias": "李", "name": "李三"}])
    mine = with_(parties=[{"id": "a", "alias": "老李", "name": "李三"}, {"id": "b", "alias": "王"}])
    theirs = with_(
        parties=[
            {"id": "a", "alias": "李", "name": "李三", "phone": "138", "id_number": "4103"},
            {"id": "c", "alias": "张"},
        ]
    )
    out = merged(base, mine, theirs)
    assert out.values["parties"] == [
        {"id": "a", "alias": "老李", "name": "李三", "phone": "138", "id_number": "4103"},
        {"id": "c", "alias": "张"},
        {"id": "b", "alias": "王"},
    ]
    assert out.conflicts == ()


def test_two_phone_numbers_of_one_party_leave_one_line_in_the_ledger() -> None:
    base = with_(parties=[{"id": "a", "phone": "1"}])
    out = merged(base, with_(parties=[{"id": "a", "phone": "2"}]), with_(parties=[{"id": "a", "phone": "3"}]))
    assert out.values["parties"] == [{"id": "a", "phone": "2"}]
    assert [(c.field, c.loser) for c in out.conflicts] == [("parties.a.phone", "3")]


def test_a_party_removed_here_and_edited_there_stays() -> None:
    base = with_(parties=[{"id": "a", "phone": "1"}])
    out = merged(base, with_(parties=[]), with_(parties=[{"id": "a", "phone": "2"}]))
    assert out.changed == frozenset()
    assert len(out.conflicts) == 1


def test_a_party_removed_here_and_untouched_there_goes() -> None:
    base = with_(parties=[{"id": "a", "alias": "李"}])
    theirs = with_(parties=[{"id": "a", "alias": "李", "id_number": "4103"}])  # never sent to the phone
    assert merged(base, with_(parties=[]), theirs).values["parties"] == []


def test_without_a_base_nothing_is_overwritten_and_gaps_are_filled() -> None:
    out = merged(None, with_(title="甲", address="三号院"), with_(title="乙"))
    assert out.values["title"] == "乙"
    assert out.values["address"] == "三号院"
    assert [(c.field, c.loser, c.decided) for c in out.conflicts] == [("title", "甲", "theirs")]


def test_without_a_base_a_device_goes_on_with_what_it_alone_has_written() -> None:
    held = with_(title="甲", signals=["drink"], address="三号院")
    mine = with_(title="甲,已说好", signals=["weapon"], address="四号院")
    out = merge("cases", None, mine, held, same_device=lambda field: field != "address")
    assert (out.values["title"], out.values["signals"]) == ("甲,已说好", ["weapon"])
    assert out.values["address"] == "三号院"
    assert [(c.field, c.loser) for c in out.conflicts] == [("address", "四号院")]


def test_without_a_base_ticks_are_added_and_none_removed() -> None:
    assert merged(None, with_(signals=["weapon"]), with_(signals=["drink"])).values["signals"] == [
        "drink",
        "weapon",
    ]


def test_without_a_base_parties_fill_each_others_gaps() -> None:
    out = merged(
        None,
        with_(parties=[{"id": "a", "alias": "甲", "phone": "1"}]),
        with_(parties=[{"id": "a", "alias": "乙", "phone": None}]),
    )
    assert out.values["parties"] == [{"id": "a", "alias": "乙", "phone": "1"}]


def test_an_entry_once_written_keeps_its_words() -> None:
    base = {"id": "e", "case_id": "c", "type": "agreement", "body": {"points": "甲"}}
    out = merge("entries", base, {**base, "body": {"points": "乙"}}, base, same_device=lambda _: False)
    assert out.changed == frozenset()
    assert out.conflicts[0].loser == {"points": "乙"}


def test_promises_made_by_two_workers_are_both_kept() -> None:
    base = {"id": "v", "promises": [{"id": "p", "text": "问路灯"}]}
    out = merge(
        "visits",
        base,
        {"id": "v", "promises": [{"id": "p", "text": "问路灯", "done_at": 5}]},
        {"id": "v", "promises": [{"id": "p", "text": "问路灯"}, {"id": "q", "text": "送药"}]},
        same_device=lambda _: False,
    )
    assert out.values["promises"] == [
        {"id": "p", "text": "问路灯", "done_at": 5},
        {"id": "q", "text": "送药"},
    ]


def test_form_does_not_make_a_difference() -> None:
    assert same({"a": 1, "b": None, "c": [1.0]}, {"c": [1], "a": 1.0})
    assert same(unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é"))
    assert not same(True, 1)
    assert not same([1, 2], [2, 1])


values = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(["甲", "乙", "丙", None]),
        "protection": st.sampled_from(["normal", "restricted", "sealed"]),
        "urgency": st.sampled_from(["normal", "urgent", "emergency"]),
        "signals": st.lists(st.sampled_from(["drink", "media", "weapon"]), unique=True),
        "is_anonymous": st.booleans(),
        "parties": st.lists(
            st.fixed_dictionaries({"id": st.sampled_from("abc")}, optional={"alias": st.sampled_from("xyz")}),
            unique_by=lambda p: p["id"],
        ),
    },
)


@given(base=st.none() | values, mine=values, theirs=values)
@settings(max_examples=300, deadline=None)
def test_a_merge_repeated_changes_nothing(base: Any, mine: Any, theirs: Any) -> None:
    once = merge("cases", base, mine, theirs, same_device=lambda _: False)
    assert (
        merge("cases", once.values, once.values, once.values, same_device=lambda _: False).changed
        == frozenset()
    )
    assert merge("cases", base, once.values, once.values, same_device=lambda _: False).changed == frozenset()


@given(base=values, mine=values)
@settings(max_examples=200, deadline=None)
def test_alone_one_gets_what_one_wrote_but_for_what_only_rises(base: Any, mine: Any) -> None:
    out = merge("cases", base, mine, base, same_device=lambda _: False)
    for name, value in mine.items():
        if name not in {"protection", "is_anonymous", "signals", "parties"}:
            assert same(out.values.get(name), value)
        if name == "is_anonymous":
            assert bool(out.values.get(name)) == (value or base.get(name) is True)
        if name == "signals":
            assert set(out.values.get(name) or []) == set(value)
    assert all(line.decided == "theirs" for line in out.conflicts)


@given(base=st.none() | values, mine=values, theirs=values)
@settings(max_examples=300, deadline=None)
def test_nothing_written_is_lost(base: Any, mine: Any, theirs: Any) -> None:
    out = merge("cases", base, mine, theirs, same_device=lambda _: False)
    title = mine.get("title")
    if title is not None and not same(title, (base or {}).get("title")):
        assert out.values.get("title") == title or any(c.loser == title for c in out.conflicts)
    held = theirs.get("title")
    if held is not None and not same(out.values.get("title"), held) and base is not None:
        assert same(held, base.get("title")) or any(c.loser == held for c in out.conflicts)
