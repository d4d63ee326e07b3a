"""A phone whose store was damaged finds out with few bytes, gets what it lacks, and loses what is not its own."""

from __future__ import annotations

import hashlib
import json
import random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sync import digest, hello, reconcile
from sync.errors import BadRequest, ForeignEpoch
from sync.values import Collection
from tests.unit.sync.district import HOME, NEXT, PEOPLE, middle_of

if TYPE_CHECKING:
    from tests.unit.sync.district import District, Phone

CASES = Collection.cases
EMPTY = {"count": 0, "sum": "0" * 16}
ALIEN = "01998d6f-3c00-7000-8000-0000000000ff"


def summed(documents: dict[str, dict[str, Any]], ending: str = "") -> dict[str, Any]:
    """DG1 as a phone works it out from what it holds."""
    held = [(key, doc["v"]) for key, doc in documents.items() if key.endswith(ending)]
    terms = [int(hashlib.sha256(f"{key}:{v}".encode()).hexdigest()[:16], 16) for key, v in held]
    return {"count": len(held), "sum": f"{sum(terms) % 2**64:016x}"}


def told(phone: Phone, collection: Collection = CASES) -> Any:
    district = phone.district
    with district.store.read() as reader:
        return digest.of_collection(reader, district.config(), phone.caller(), collection)


def parts(phone: Phone, *ranges: str, collection: Collection = CASES) -> Any:
    district = phone.district
    asked = {"epoch": 1, "ranges": list(ranges)}
    with district.store.read() as reader:
        return digest.of_ranges(reader, district.config(), phone.caller(), collection, asked)["ranges"]


def heal(phone: Phone, *ranges: str, collection: Collection = CASES) -> Any:
    """One question about these ranges; what comes back is taken in."""
    district, held = phone.district, phone.held.setdefault(collection.name, {})
    versions = {key: doc["v"] for key, doc in held.items() if key.endswith(ranges)}
    asked = {"epoch": 1, "ranges": list(ranges), "held": versions}
    with district.store.read() as reader:
        answer = reconcile.answer(
            reader, district.config(), phone.caller(), collection, asked, keys=district.keys
        )
    answer = json.loads(msgspec.json.encode(answer))
    for doc in answer["documents"]:
        if doc["_deleted"]:
            held.pop(doc["id"], None)
        else:
            held[doc["id"]] = doc
    return answer


def differing(phone: Phone, ranges: tuple[str, ...] = ("",), depth: int = 3) -> list[str]:
    """The ranges in which a phone and the server differ, walked down as a phone does."""
    if not ranges or depth == 0:
        return list(ranges)
    there = parts(phone, *ranges)
    here = phone.held["cases"]
    endings = {key[-len(asked) - 1 :] for asked in ranges for key in here if key.endswith(asked)}
    apart = tuple(e for e in sorted(endings | there.keys()) if there.get(e, EMPTY) != summed(here, e))
    return differing(phone, apart, depth - 1)


def filled(district: District, count: int = 40) -> Phone:
    """The phone of bo, complete to the head, with cases that an captured."""
    an, bo = district.phone("an"), district.phone("bo")
    an.push("cases", *(an.new(title=f"第{n}件") for n in range(count)))
    bo.pull("cases")
    assert len(bo.held["cases"]) == count
    return bo


# --- sums ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", list(PEOPLE))
def test_the_digest_is_of_what_a_new_phone_would_be_sent(district: District, who: str) -> None:
    """DG1, for everybody and every collection."""
    an = district.phone("an")
    case = an.capture()["id"]
    an.capture(location=middle_of(NEXT))
    an.capture(protection="restricted")
    sealed = an.capture(protection="sealed")["id"]
    district.act("director", sealed, "triage", category="0201", basis="lawful", risk="yellow", channel="grid")
    an.push("entries", an.entry(case), an.entry(case, "handover_note"))
    phone = district.phone(who, f"new-{who}")
    for collection in Collection:
        assert told(phone, collection) == summed(phone.pull(collection.name)), collection.name


def test_a_changed_version_changes_the_sum_and_nothing_else_does(district: District) -> None:
    bo = filled(district, 3)
    before = told(bo)
    assert told(bo) == before
    an = district.phone("an")
    an.edit(next(iter(an.held["cases"].values())), title="改过")
    assert told(bo)["count"] == before["count"]
    assert told(bo)["sum"] != before["sum"]


def test_the_parts_of_a_range_add_up_to_it(district: District) -> None:
    """DG2."""
    bo = filled(district)
    whole, held = parts(bo, ""), bo.held["cases"]
    assert sum(part["count"] for part in whole.values()) == len(held)
    assert whole == {ending: summed(held, ending) for ending in {key[-1] for key in held}}
    some = sorted(whole)[:2]
    assert parts(bo, *some) == {
        ending: summed(held, ending) for ending in {key[-2:] for key in held if key[-1] in some}
    }


def test_codes_of_cells_are_summed_by_their_endings_too(district: District) -> None:
    phone = district.phone("long")
    held = phone.pull("cells")
    assert parts(phone, "", collection=Collection.cells) == {
        e: summed(held, e) for e in {k[-1] for k in held}
    }


# --- healing ---------------------------------------------------------------------------------------------------------


def test_what_is_missing_stale_or_surplus_is_healed_and_nothing_else_is_sent(district: District) -> None:
    """DG3."""
    bo = filled(district)
    right = dict(bo.held["cases"])
    chance = random.Random(7)
    missing, stale = chance.sample(sorted(right), 2)
    del bo.held["cases"][missing]
    bo.held["cases"][stale] = right[stale] | {"title": "旧的", "v": right[stale]["v"] - 1}
    bo.held["cases"][ALIEN] = {"id": ALIEN, "v": 3}
    apart = differing(bo)
    assert {key for key in (missing, stale, ALIEN) if not key.endswith(tuple(apart))} == set()
    answer = heal(bo, *apart)
    assert {doc["id"] for doc in answer["documents"]} == {missing, stale, ALIEN}
    assert answer["more"] is False
    assert bo.held["cases"] == right
    assert told(bo) == summed(right)


def test_what_was_moved_away_goes_and_looks_like_what_never_was(district: District) -> None:
    """DG3, PL9."""
    bo = filled(district, 2)
    gone = min(bo.held["cases"])
    district.act("dispatcher", gone, "set_place", cell=NEXT, evidence="到过现场")
    bo.held["cases"][ALIEN] = {"id": ALIEN, "v": 3}
    first, second = sorted(heal(bo, "")["documents"], key=lambda doc: str(doc["id"]) != gone)
    assert first.pop("id") == gone
    assert second.pop("id") == ALIEN
    assert first == second


def test_a_phone_that_lost_everything_is_filled_again_piece_by_piece(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DG3."""
    monkeypatch.setattr(digest, "PAGE_DOCS", 15)
    bo = filled(district)
    right, bo.held["cases"] = bo.held["cases"], {}
    answers = [heal(bo, "") for _ in range(4)]
    assert [(len(answer["documents"]), answer["more"]) for answer in answers] == [
        (15, True),
        (15, True),
        (10, False),
        (0, False),
    ]
    assert bo.held["cases"] == right


def test_an_older_phone_is_healed_with_what_it_knows(district: District) -> None:
    """EV2."""
    an = district.phone("an")
    an.told = 2
    case = an.capture()["id"]
    shown = an.new()["id"]
    an.push("files", {"id": shown, "owner_id": case, "kind": "photo", "caption": "门口", "w": an.next_w()})
    bo = district.phone("bo")
    [document] = heal(bo, "", collection=Collection.files)["documents"]
    assert document["id"] == shown
    assert "caption" not in document


def test_who_sees_nothing_is_told_of_nothing(district: District) -> None:
    filled(district)
    cui = district.phone("cui")
    assert (told(cui), parts(cui, "")) == (EMPTY, {})
    assert heal(cui, "")["documents"] == []
    district.grant("cui", "grid_worker", cell=HOME)
    assert told(cui)["count"] == 40


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_too_much_has_no_digest_and_says_so(district: District, monkeypatch: pytest.MonkeyPatch) -> None:
    """DG4."""
    bo = filled(district)
    monkeypatch.setattr(digest, "DOCS_MAX", 39)
    assert told(bo) is None
    with pytest.raises(digest.TooManyDocuments):
        parts(bo, "")
    with pytest.raises(digest.TooManyDocuments):
        heal(bo, "")


def test_what_is_looked_at_counts_not_only_what_is_seen(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DG4: a leader of a cell full of sealed cases costs as much as one who sees them."""
    for _ in range(6):
        district.phone("an").capture(category="0106")
    long = district.phone("long")
    assert told(long) == EMPTY
    monkeypatch.setattr(digest, "DOCS_MAX", 5)
    assert told(long) is None


@pytest.mark.parametrize(
    "asked",
    [
        None,
        {"epoch": 1},
        {"epoch": 1, "ranges": []},
        {"epoch": 1, "ranges": "7"},
        {"epoch": 1, "ranges": [7]},
        {"epoch": 1, "ranges": ["0" * 37]},
        {"epoch": 1, "ranges": ["0"] * 257},
    ],
)
def test_ranges_of_another_shape_are_refused(district: District, asked: Any) -> None:
    with district.store.read() as reader, pytest.raises(BadRequest):
        digest.of_ranges(reader, district.config(), district.phone("bo").caller(), CASES, asked)


@pytest.mark.parametrize("held", [None, [], {"a": "1"}, {"a": True}, {str(n): 1 for n in range(10_001)}])
def test_what_is_held_in_another_shape_is_refused(district: District, held: Any) -> None:
    asked = {"epoch": 1, "ranges": [""], "held": held}
    bo = district.phone("bo")
    with district.store.read() as reader, pytest.raises(BadRequest):
        digest.heal(reader, district.config(), bo.caller(), CASES, asked, keys=district.keys)


def test_ids_that_are_none_of_ours_are_passed_over(district: District) -> None:
    bo = district.phone("bo")
    bo.held["cases"] = {"not-an-id": {"id": "not-an-id", "v": 1}}
    assert heal(bo, "")["documents"] == []


def test_another_epoch_is_told(district: District) -> None:
    bo = district.phone("bo")
    for question in (digest.of_ranges, lambda *asked: digest.heal(*asked, keys=district.keys)):
        asked = {"epoch": 2, "ranges": [""], "held": {}}
        with district.store.read() as reader, pytest.raises(ForeignEpoch):
            question(reader, district.config(), bo.caller(), CASES, asked)


def test_hello_answers_what_was_asked_for_and_not_now_where_it_is_too_often(district: District) -> None:
    """DG1, DG4."""
    bo = filled(district, 3)

    def answer(asked: Any, *, digests: bool = True) -> Any:
        with district.store.read() as reader:
            return hello.answer(
                reader,
                district.config(),
                bo.caller(),
                asked,
                wall=0,
                monotonic=0,
                words={},
                digests=digests,
            )

    assert "digests" not in answer({})
    assert "digests" not in answer({"digests": "cases"})
    asked = {"digests": ["cases", "tasks", "nothing"]}
    assert answer(asked)["digests"] == {"cases": summed(bo.held["cases"]), "tasks": EMPTY}
    assert answer(asked, digests=False)["digests"] is None
