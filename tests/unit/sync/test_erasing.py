"""Erasure by law: who decides, what goes, what is left nowhere, and that nothing brings it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import erasing
from sync.commit import commit_group
from sync.erasing import NeedsAnother, ask_erasure, decide_erasure, erase_again, erase_work
from sync.errors import Conflict, NotFound, Unprocessable
from sync.homes_work import open_visits
from sync.values import Collection
from tests.unit.sync.district import HOME, NEXT
from tests.unit.sync.test_other_collections import visit
from tests.unit.sync.test_places import household
from tests.unit.sync.test_sealed import carry, sealer
from tests.unit.sync.test_visits_follow import photo

if TYPE_CHECKING:
    from tests.unit.sync.district import District, Phone

STORY, NAME, NUMBER = "丈夫酒后动手三次", "罗桂兰", "13912345678"


def by(district: District, who: str, work: Any) -> Any:
    return commit_group(district.store, [(work, district.context(f"user:{who}"))])[0].result()


def told(phone: Phone) -> dict[str, Any]:
    """A case with everything that can hang on one, its text in many places."""
    party = {"id": "p1", "alias": "甲", "name": NAME, "phone": NUMBER}
    case = phone.capture(title=STORY[:6], description=STORY, parties=[party], people_count="许多" + NAME)
    note = phone.push("entries", phone.entry(case["id"], body={"text": STORY}))
    phone.edit(case, title=STORY[:6] + "又一次", description=STORY + "又一次")
    phone.push("entries", note | {"body": {"text": STORY + "别的"}, "w": phone.next_w()})
    phone.push("files", photo(phone, case["id"]) | {"transcript": STORY, "transcript_state": "done"})
    phone.push("cases", case | {"_deleted": True, "title": STORY, "w": phone.next_w()})
    return case


# --- two persons -----------------------------------------------------------------------------------------------------


def test_one_person_asks_and_another_decides(district: District) -> None:
    case = told(district.phone("an"))
    wanted = by(district, "officer", ask_erasure("cases", case["id"], "subject_request"))
    assert district.whole("cases", case["id"])["description"]
    with pytest.raises(NeedsAnother):
        by(district, "officer", decide_erasure(wanted, confirm=True))
    assert by(district, "director", decide_erasure(wanted, confirm=True)).documents >= 4
    with pytest.raises(Conflict):
        by(district, "director", decide_erasure(wanted, confirm=False))
    (row,) = district.rows("erasure")
    assert (row["state"], row["asked_by"], row["decided_by"]) == ("done", "user:officer", "user:director")
    actions = [line["action"] for line in district.rows("audit")]
    assert actions[-2:] == ["erasure.ask", "erase"]


def test_a_refused_erasure_erases_nothing(district: District) -> None:
    case = told(district.phone("an"))
    wanted = by(district, "officer", ask_erasure("cases", case["id"], "by_mistake"))
    by(district, "director", decide_erasure(wanted, confirm=False))
    assert district.row("cases", case["id"]).gone is None
    with district.store.read() as reader:
        assert [row["state"] for row in erasing.erasures(reader)] == ["refused"]
        assert erasing.unswept(reader) == []


@pytest.mark.parametrize("reason", ["", STORY, "because"])
def test_a_reason_is_a_code_and_no_story(district: District, reason: str) -> None:
    case = told(district.phone("an"))
    with pytest.raises(Unprocessable):
        by(district, "officer", ask_erasure("cases", case["id"], reason))
    assert district.rows("erasure") == []


@pytest.mark.parametrize(
    ("collection", "doc_id"),
    [
        ("cases", "no-id"),
        ("cases", "01998d6f-3c00-7000-8000-0000000000a1"),
        ("tasks", "x"),
        ("accounts", "an"),
    ],
)
def test_what_is_not_there_cannot_be_erased(district: District, collection: str, doc_id: str) -> None:
    with pytest.raises(NotFound):
        by(district, "officer", ask_erasure(collection, doc_id, "ordered"))
    with pytest.raises(NotFound):
        by(district, "officer", decide_erasure(doc_id, confirm=True))


# --- what goes -------------------------------------------------------------------------------------------------------


def test_nothing_is_left_in_rows_free_pages_or_the_log(district: District) -> None:
    """ER2, ER3; the content is sealed, so it is the sealed bytes and the wrapped keys that are looked for."""
    an = district.phone("an")
    case = told(an)
    children = district.store.write(lambda tx: tx.children([district.row("cases", case["id"]).pk]))
    secrets = [doc.dek for doc in (district.row("cases", case["id"]), *children) if doc.dek is not None]
    secrets += [
        doc.sealed for doc in (district.row("cases", case["id"]), *children) if doc.sealed is not None
    ]
    secrets += [row["payload"] for row in district.rows("ledger")]
    secrets += [row["dek"] for row in district.rows("quarantine")]
    secrets += [row["delta"] for row in district.rows("change") if row["delta"]]
    secrets += [row["digest"] for row in district.rows("change") if row["digest"]]
    secrets += [STORY[:6].encode(), STORY[:6].encode("utf-16-le"), b"p1"]
    assert len(secrets) > 10
    before = district.bytes_on_disk()
    assert sum(bytes(secret) in before for secret in secrets) > 10
    district.commit(erase_work(Collection.cases, case["id"]))
    assert district.store.scrub()
    left = district.bytes_on_disk()
    assert [secret for secret in secrets if bytes(secret) in left] == []
    for table in ("change", "ledger", "quarantine"):
        for row in district.rows(table):
            assert not row.get("payload")
            assert not row.get("delta")
            assert not row.get("digest")
    assert all(row["closed_at"] for row in district.rows("escalation"))


def test_a_note_that_waits_for_an_erased_case_goes_with_it(district: District) -> None:
    cui = district.phone("cui")
    case = told(district.phone("an"))
    note = cui.push("entries", cui.entry(case["id"], body={"text": STORY}))  # she does not see the case
    assert note["parent_missing"] is True
    district.commit(erase_work(Collection.cases, case["id"]))
    assert cui.pull("entries") == {}
    assert district.row("entries", note["id"]).dek is None
    assert {row["state"] for row in district.rows("quarantine")} == {"erased"}


def test_with_a_household_go_its_visits_their_photos_and_what_was_due_there(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    home, other = household(district, HOME, contact_name=NAME), household(district, HOME)
    there = an.push("visits", visit(an, household_id=home, notes=STORY))["id"]
    elsewhere = an.push("visits", visit(an, household_id=other, notes="平安"))["id"]
    picture = an.push("files", photo(an, there))["id"]
    district.commit(open_visits([home], due=district.now))
    for name in ("visits", "households", "files", "tasks"):
        assert bo.pull(name)
    erased = district.commit(erase_work(Collection.households, home))
    assert {doc_id for name, doc_id in erased.ids if name == "files"} == {picture}
    assert bo.pull("visits").keys() == {elsewhere}
    assert bo.pull("households").keys() == {other}
    assert bo.pull("files") == bo.pull("tasks") == {}


def states(district: District) -> set[str]:
    return {row["state"] for row in district.rows("quarantine")}


def test_bundles_nobody_can_vouch_for_go_with_what_they_say_they_are_or_hang_on(district: District) -> None:
    """ER2, SE7: the case, a note of it, a recording of that note; and a visit."""
    an = district.phone("an")
    case, there = told(an), an.push("visits", visit(an, notes=STORY))
    stranger = Ed25519PrivateKey.generate()
    phone = sealer(district)
    note = an.entry(case["id"], body={"text": STORY})
    recording = photo(an, note["id"]) | {"transcript": STORY}
    other = an.new(title=NAME)
    for collection, doc in (
        ("cases", case),
        ("entries", note),
        ("files", recording),
        ("visits", there),
        ("cases", other),
    ):
        carry(district, phone.seal(doc, collection, signed_by=stranger))
    unproven = [row["pk"] for row in district.rows("quarantine", reason="signer_unknown")]
    assert len(unproven) == 5
    district.commit(erase_work(Collection.cases, case["id"]))
    district.commit(erase_work(Collection.visits, there["id"]))
    rows = district.rows("quarantine", pk=unproven)
    assert [row["state"] for row in rows] == ["erased"] * 4 + ["open"]
    assert [row["dek"] is None and not row["payload"] for row in rows] == [True] * 4 + [False]


def test_a_visit_put_aside_goes_with_its_household(district: District) -> None:
    """ER2: it never became a visit."""
    an = district.phone("an")
    home = household(district, HOME, contact_name=NAME)
    an.push("visits", visit(an, household_id=home, notes=STORY, subject_kind=7))
    large = visit(an, household_id=home, notes=STORY + "长" * 100_000)
    an.push_rows("visits", [{"newDocumentState": large}])
    assert len(district.rows("quarantine", state="open")) == 2
    district.commit(erase_work(Collection.households, home))
    assert states(district) == {"erased"}


def test_a_note_put_aside_before_its_case_goes_with_that_and_nothing_else_does(district: District) -> None:
    """ER2: what a row claims to be takes nothing along that is here by its own right."""
    an = district.phone("an")
    case = an.new(title="漏水")
    an.push("entries", an.entry(case["id"], "no_such_type", {"text": STORY}))
    there = an.push("visits", visit(an, notes="平安"))["id"]
    an.push("files", photo(an, there) | {"kind": "no_such"})
    an.push("entries", an.entry(case["id"], "no_such_type") | {"id": there})  # says that it is the visit
    an.push("cases", case)
    district.commit(erase_work(Collection.cases, case["id"]))
    kept = district.rows("quarantine")
    assert [row["state"] for row in kept] == ["erased", "open", "erased"]


@pytest.mark.parametrize("erased", ["visits", "files"])
def test_the_photo_of_a_visit_that_lay_in_no_cell_leaves_the_phone_once_it_is_erased(
    district: District, erased: str
) -> None:
    """Seeds 136, 142 and 170: no place of such a photo was closed, so that nobody was told."""
    an = district.phone("an")
    district.grant("an", "grid_worker", cell=NEXT)  # of two cells nobody can say which
    seen = an.push("visits", visit(an, household_id=None, place_text="集市", notes=STORY))
    assert seen.get("cell") is None
    picture = an.push("files", photo(an, seen["id"]))["id"]
    assert picture in an.pull("files")
    district.commit(erase_work(Collection[erased], {"visits": seen["id"], "files": picture}[erased]))
    assert an.pull("files") == {}
    assert (an.pull("visits") == {}) is (erased == "visits")


# --- nothing brings it back ------------------------------------------------------------------------------------------


def test_a_phone_that_was_away_for_long_gets_the_tombstone_once_it_comes(district: District) -> None:
    """ER5; whatever happened to the case meanwhile."""
    an, bo = district.phone("an"), district.phone("bo")
    case = told(an)["id"]
    assert case in bo.pull("cases")
    assert bo.pull("entries")
    district.now += 400 * 86_400_000
    district.act("clerk", case, "set_place", cell=HOME, evidence="门牌")
    district.end_grant("bo")
    district.commit(erase_work(Collection.cases, case))
    for _ in range(30):
        district.phone("cui").capture()
    assert bo.pull("cases") == bo.pull("entries") == bo.pull("files") == {}


def test_what_an_old_phone_pushes_of_it_revives_nothing(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case = told(an)
    held = bo.pull("cases")[case["id"]]
    note = bo.entry(case["id"], body={"text": STORY})
    district.commit(erase_work(Collection.cases, case["id"]))
    assert bo.edit(held, title=STORY)["_deleted"] is True
    answer = bo.push("entries", note)
    assert answer["parent_missing"] is True  # it is the writer's own, as of a case that nobody knows
    assert district.row("cases", case["id"]).gone is not None
    assert district.row("cases", case["id"]).clear == f'"id":"{case["id"]}"'.encode()
    assert an.pull("cases") == {}


def test_a_restored_district_erases_again_what_it_knows_and_bars_what_it_does_not(district: District) -> None:
    """ER4."""
    an, bo = district.phone("an"), district.phone("bo")
    kept, fresh = told(an), an.new(title=STORY[:6])
    bo.pull("cases")
    pairs = [("cases", kept["id"]), ("cases", fresh["id"])]
    assert district.commit(erase_again(pairs)) >= 2
    assert district.commit(erase_again(pairs)) == 0
    assert bo.pull("cases") == {}
    assert an.push("cases", fresh)["_deleted"] is True  # captured and erased after the backup was made
    assert district.row("cases", fresh["id"]).clear == f'"id":"{fresh["id"]}"'.encode()
    assert bo.pull("cases") == {}
