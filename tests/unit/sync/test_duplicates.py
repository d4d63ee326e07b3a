"""疑似重复: found among neighbours, named to whoever sees them in full, and looked for at the cost of a few cells."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from server.console import alike
from server.console.alike import duplicates_of, marks_of
from server.console.scope import Filters, Sight, open_case, visible_cases
from server.console.shown import page_of
from sync.errors import NotFound
from tests.unit.sync.district import FAR, HOME, NEXT, middle_of, user_id
from tests.unit.sync.test_review import admitted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.sync.district import District

CANARY = "金丝雀十三号"


class Counted:
    """A reader that counts the rows it gives."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.rows = 0

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._reader, name)

        def counting(*args: Any, **options: Any) -> Any:
            found = call(*args, **options)
            self.rows += len(found) if isinstance(found, list) else 0
            return found

        return counting


def seeing(district: District, who: str) -> Iterator[Sight]:
    with district.store.read() as reader:
        yield Sight(reader, district.configs.get(reader), district.users[who], district.keys)


def alike_to(district: District, who: str, case_id: str) -> list[dict[str, Any]]:
    for sight in seeing(district, who):
        return duplicates_of(sight, open_case(sight, case_id))
    raise AssertionError


def twice(district: District, **fields: Any) -> tuple[str, str]:
    """One leak, captured by two workers of the cell."""
    first = district.phone("an").capture(title="三楼漏水到二楼")["id"]
    second = district.phone("bo").capture(title="二楼被三楼漏水淹了", **fields)["id"]
    return first, second


def test_two_captures_of_one_leak_find_each_other(district: District) -> None:
    first, second = twice(district)
    (found,) = alike_to(district, "clerk", first)
    assert (found["id"], found["author_name"], found["likely"]) == (second, "bo", True)
    assert any("文字相近" in reason for reason in found["reasons"])
    assert [one["id"] for one in alike_to(district, "bo", second)] == [first]  # a worker is helped, too


def test_what_lies_beyond_the_border_of_the_cell_is_found_and_what_lies_far_is_not(
    district: District,
) -> None:
    first = district.phone("an").capture(title="三楼漏水到二楼", location=middle_of(HOME, accuracy_m=100))[
        "id"
    ]
    beside = district.phone("cui").capture(title="三楼漏水到二楼", location=middle_of(NEXT, accuracy_m=100))[
        "id"
    ]
    district.phone("an").capture(title="三楼漏水到二楼", location=middle_of(FAR))
    assert [one["id"] for one in alike_to(district, "clerk", first)] == [beside]


@pytest.mark.parametrize("hide", ["sealed", "recused"])
def test_what_somebody_may_not_know_of_changes_nothing_that_he_sees(
    district: District, hide: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alike, "PER_CELL", 3)
    monkeypatch.setattr(alike, "_CHUNK", 2)
    first, second = twice(district)
    before = alike_to(district, "dispatcher", first)
    hidden = []
    for _ in range(5):  # more than a limit that would count them, and newer
        fields = {"protection": "sealed"} if hide == "sealed" else {}
        case = district.phone("an").capture(title="三楼漏水到二楼", description=CANARY, **fields)["id"]
        hidden.append(case)
        if hide == "recused":
            district.act("director", case, "recuse", user=user_id("dispatcher"), reason="亲属")
    assert alike_to(district, "dispatcher", first) == before
    assert [one["id"] for one in before] == [second]
    for sight in seeing(district, "dispatcher"):
        seen = [open_case(sight, first)]
        assert marks_of(sight, seen) == {seen[0].doc.pk: 1}
    assert set(hidden) & {one["id"] for one in alike_to(district, "director", first)}
    with pytest.raises(NotFound):
        alike_to(district, "dispatcher", hidden[0])


def test_who_sees_a_smaller_form_of_the_case_or_of_the_other_is_told_of_none(district: District) -> None:
    first, second = twice(district)
    own = district.phone("secretary").capture(title="三楼漏水到二楼")["id"]  # which she sees in full herself
    assert alike_to(district, "secretary", first) == []  # the plain form, in which parties are masked
    district.act("clerk", own, "void", reason="重复")
    district.act("director", second, "protect", **{"class": "restricted", "reason": "未成年人"})
    assert alike_to(district, "an", first) == []
    assert [one["id"] for one in alike_to(district, "clerk", first)] == [second]


def test_a_merged_or_voided_case_is_no_second_of_anything(district: District) -> None:
    first, second = twice(district)
    district.act("clerk", second, "merge", master=first, reason="同一件事")
    assert alike_to(district, "clerk", first) == []
    assert alike_to(district, "clerk", second) == []
    district.act("dispatcher", second, "unmerge", reason="不是一件事")
    assert [one["id"] for one in alike_to(district, "clerk", first)] == [second]


def test_the_centre_finds_them_marked_on_its_list_and_nobody_else_does(district: District) -> None:
    first, second = twice(district)
    alone = district.phone("cui").capture(title="路灯不亮", category="0601", location=middle_of(FAR))["id"]

    def marks(who: str) -> dict[str, int]:
        for sight in seeing(district, who):
            page = visible_cases(sight, Filters(), after=None, limit=50, now=district.now)
            ids = {seen.doc.pk: seen.shown["id"] for seen in page.items}
            return {ids[pk]: count for pk, count in marks_of(sight, page.items).items()}
        raise AssertionError

    assert marks("clerk") == {first: 1, second: 1, alone: 0}
    assert marks("an") == {}
    assert marks("secretary") == {}


def test_no_value_of_a_party_is_kept_or_told_by_the_comparison(district: District) -> None:
    party = {"id": "p1", "name": CANARY, "phone": "13899998888"}
    first, _ = twice(district, parties=[party])
    master = district.phone("an").pull("cases")[first]
    district.phone("an").edit(master, parties=[party | {"id": "p9"}])
    told = json.dumps(alike_to(district, "clerk", first), ensure_ascii=False)
    assert "当事人电话相同" in told
    assert CANARY not in told
    assert "13899998888" not in told
    assert CANARY.encode() not in district.bytes_on_disk()


def test_it_costs_rows_of_the_neighbourhood_whatever_the_size_of_the_district(district: District) -> None:
    first, _ = twice(district)

    def cost() -> int:
        with district.store.read() as reader:
            counted = Counted(reader)
            sight = Sight(counted, district.configs.get(reader), district.users["clerk"], district.keys)
            duplicates_of(sight, open_case(sight, first))
            return counted.rows

    small = cost()
    phone = district.phone("cui")
    for _ in range(3):
        phone.push("cases", *[phone.new(location=middle_of(FAR)) for _ in range(40)])
    assert cost() == small
    assert small < 30


# --- what a merger leaves --------------------------------------------------------------------------------------------


def test_the_master_shows_what_was_merged_into_it_and_both_numbers_lead_there(district: District) -> None:
    loser, master = admitted(district), admitted(district)
    number = district.whole("cases", loser)["code"]
    an = district.phone("an")
    an.push("entries", an.entry(loser, body={"text": "合并前记的"}))
    district.act("clerk", loser, "merge", master=master, reason="同一件事")
    later = an.entry(loser, body={"text": "合并后记的"})
    assert an.push("entries", later)["case_id"] == master  # PU12: re-pointed
    for sight in seeing(district, "clerk"):
        page = page_of(sight, open_case(sight, master))
        (part,) = page["merged"]
        assert (part["case"]["id"], part["case"]["code"]) == (loser, number)
        assert "合并前记的" in json.dumps(part["timeline"], ensure_ascii=False)
        assert "合并后记的" in json.dumps(page["timeline"], ensure_ascii=False)
        found = visible_cases(sight, Filters(q=number), after=None, limit=10, now=district.now)
        assert {seen.shown["id"] for seen in found.items} == {loser, master}
    assert an.pull("cases")[loser]["master_case"] == master
    district.act("dispatcher", loser, "unmerge", reason="不是一件事")
    for sight in seeing(district, "clerk"):
        assert "merged" not in page_of(sight, open_case(sight, master))
        timeline = json.dumps(page_of(sight, open_case(sight, loser))["timeline"], ensure_ascii=False)
        assert "合并前记的" in timeline
        assert "合并后记的" in timeline  # written to it, kept with the former master, read here
        found = visible_cases(sight, Filters(q=number), after=None, limit=10, now=district.now)
        assert {seen.shown["id"] for seen in found.items} == {loser}
    assert "master_case" not in an.pull("cases")[loser]


def test_what_was_merged_is_shown_with_the_master_to_whoever_sees_it(district: District) -> None:
    loser, master = (
        district.phone("cui").capture(location=middle_of(FAR), title=CANARY)["id"],
        admitted(district),
    )
    district.act("clerk", loser, "merge", master=master, reason="同一件事")
    for sight in seeing(district, "an"):  # who has the master's cell and not the other's
        page = page_of(sight, open_case(sight, master))
        assert "merged" not in page
        assert CANARY not in json.dumps(page, ensure_ascii=False)


def test_whoever_sees_the_shell_of_the_merged_case_is_not_told_where_it_went(district: District) -> None:
    loser = district.phone("cui").capture(location=middle_of(NEXT), protection="restricted")["id"]
    master = admitted(district)
    district.act("dispatcher", master, "dispatch", unit="JUSTICE", user=user_id("mediator"))
    district.act("clerk", loser, "merge", master=master, reason="同一件事")
    district.grant("mediator", "grid_worker", cell=NEXT)
    for sight in seeing(district, "mediator"):
        assert open_case(sight, loser).form == "shell"
        assert "merged" not in page_of(sight, open_case(sight, master))
