"""How likely two captures are one quarrel: what speaks for it, what against, and what says nothing."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from sync.cases import duplicates
from sync.cases.duplicates import Look, Spot, compare, distance_m, likeness, normalised, pairs_of

HOUR = 3_600_000
NOON = 1_795_395_600_000
LEAK = Spot(112.4000, 34.6600, 10.0)


def pairs(text: str) -> frozenset[str]:
    return pairs_of(normalised(text))


def look(**fields: Any) -> Look:
    standard: dict[str, Any] = {
        "kind": "dispute",
        "category": "0201",
        "captured_at": NOON,
        "received_at": NOON,
        "spot": LEAK,
        "cell": "410399001001001",
        "text": "三楼漏水到二楼。",
    }
    return Look(**(standard | fields))


def metres_east(metres: float, r95_m: float = 10.0) -> Spot:
    return Spot(LEAK.lon + metres / 91_500, LEAK.lat, r95_m)


def test_two_workers_at_one_leak_are_very_likely_one_case_and_the_reasons_are_said() -> None:
    later = NOON + 2 * HOUR
    other = look(captured_at=later, received_at=later, spot=metres_east(12), text="二楼被三楼漏水淹了。")
    found = compare(look(), other)
    assert found is not None
    assert found.likely
    assert found.score >= 90
    assert found.reasons == ("相距约 12 米,在定位误差之内", "前后相隔 2 小时", "类别相同", "文字相近(57%)")
    assert found.distance_m == 12


def test_another_quarrel_of_the_same_yard_on_the_same_day_is_none() -> None:
    parties = [{"id": "1", "name": "王一"}, {"id": "2", "name": "李二"}]
    others = [{"id": "1", "name": "赵三"}, {"id": "2", "name": "钱四"}]
    other = look(category="0204", text="楼道堆放杂物起争执不让走。", parties=others, captured_at=NOON + 5 * HOUR,
                 received_at=NOON + 5 * HOUR)  # fmt: skip
    assert compare(look(parties=parties), other) is None


def test_the_same_place_and_hour_alone_are_worth_a_look_and_no_more() -> None:
    found = compare(look(text=""), look(text="", category=None))
    assert found is not None
    assert not found.likely


def test_far_apart_in_place_or_time_it_is_another_case_whatever_the_words() -> None:
    assert compare(look(), look(spot=metres_east(900))) is None
    later = NOON + 15 * 24 * HOUR
    assert compare(look(), look(captured_at=later, received_at=later)) is None


def test_a_phone_with_a_wrong_clock_is_judged_by_when_the_server_heard_of_it() -> None:
    assert compare(look(), look(captured_at=NOON - 400 * 24 * HOUR)) is not None


def test_a_vague_fix_neither_parts_two_cases_nor_proves_much() -> None:
    vague, sharp = look(spot=metres_east(400, 500)), look(spot=metres_east(5))
    far, near = compare(look(), vague), compare(look(), sharp)
    assert far is not None
    assert near is not None
    assert far.score < near.score
    assert compare(look(), look(spot=metres_east(400, 10))) is None


@pytest.mark.parametrize(
    ("mine", "other", "words"),
    [
        ({"phone": "13800000001"}, {"phone": "+86 138-0000-0001"}, "当事人电话相同"),
        ({"name": "王小梅"}, {"name": "王小梅 "}, "当事人姓名相同"),
        ({"alias": "三楼姓李的"}, {"alias": "三楼姓李的"}, "当事人称呼相同"),
    ],
)
def test_one_person_in_both_is_said_without_the_value(
    mine: dict[str, str], other: dict[str, str], words: str
) -> None:
    found = compare(look(parties=[{"id": "a", **mine}]), look(parties=[{"id": "b", **other}]))
    assert found is not None
    assert words in found.reasons
    for value in mine.values():
        assert value not in " ".join(found.reasons).replace(words, "")


def test_an_identity_number_is_no_evidence_since_not_everybody_may_read_it() -> None:
    number = [{"id": "a", "id_number": "410399199001010011"}]
    assert compare(look(parties=number), look(parties=number)) == compare(look(), look())


def test_without_a_fix_the_household_or_the_address_says_where_it_was() -> None:
    home = compare(look(spot=None, household="h"), look(household="h", text=""))
    assert home is not None
    assert home.reasons[0] == "同一住户"
    street = compare(look(spot=None, address="三号院 2单元"), look(spot=None, address="三号院2单元", text=""))
    assert street is not None
    assert street.reasons[0] == "地址相同"


def test_texts_are_likened_by_pairs_of_characters() -> None:
    assert pairs("三楼漏水") == {"三楼", "楼漏", "漏水"}
    assert pairs("水") == {"水"}
    assert pairs("。。,") == frozenset()
    assert likeness(pairs("三楼漏水"), pairs("三楼,漏水!")) == 1.0
    assert likeness(pairs("ABC"), pairs("abc")) == 1.0
    assert likeness(pairs("三楼漏水"), pairs("噪音扰民")) == 0.0
    assert likeness(pairs(""), pairs("三楼漏水")) == 0.0


def test_a_degree_of_latitude_is_as_long_as_it_is() -> None:
    assert distance_m(Spot(112.4, 34.0), Spot(112.4, 35.0)) == pytest.approx(111_195, rel=1e-3)
    assert distance_m(LEAK, LEAK) == 0


def test_the_order_of_the_two_makes_no_difference_and_nothing_is_above_a_hundred() -> None:
    seed = 11
    print("seed", seed)
    chance = random.Random(seed)
    looks = [
        look(
            spot=chance.choice([None, metres_east(chance.randrange(400), chance.choice([5, 100, 800]))]),
            category=chance.choice([None, "0201", "0204", "0601"]),
            captured_at=NOON + chance.randrange(20 * 24) * HOUR,
            text=chance.choice(["", "三楼漏水", "二楼被三楼漏水淹了", "噪音扰民到半夜"]),
            parties=chance.choice([(), [{"id": "1", "name": "王"}], [{"id": "2", "phone": "13800000001"}]]),
        )
        for _ in range(40)
    ]
    for one, other in itertools.combinations(looks, 2):
        found = compare(one, other)
        assert found == compare(other, one)
        assert found is None or 50 <= found.score <= 100


def test_a_text_is_taken_apart_once_however_many_it_is_compared_with(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []

    def counted(text: str) -> str:
        taken.append(text)
        return normalised(text)

    monkeypatch.setattr(duplicates, "normalised", counted)
    many = [look(text=f"三楼漏水第{n}次") for n in range(40)]
    assert len(taken) == 80
    assert any(compare(one, other) for one in many for other in many)
    assert len(taken) == 80
