"""SE: what a locked or stopped phone captures is sealed, carried in by whoever comes, and filed for its author."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.signing import SealingKeys
from sync import hello
from sync.commit import Context, commit_group
from sync.hand_in import hand_in_work
from sync.push import push_work
from sync.sealed import binding, from_base64url, open_bundle
from tests.unit.sync.district import DISTRICT, FAR, HOME, middle_of, user_id
from tests.unit.sync.sealing import Sealer

if TYPE_CHECKING:
    import pytest

    from tests.unit.sync.district import District

KEYS = SealingKeys(bytes(range(32)))


def sealer(district: District, who: str = "an", *, told: bool = True) -> Sealer:
    """The phone of somebody; `told`: its key was told at a hello while somebody was signed in."""
    caller = district.caller(who, f"phone-{who}")
    made = Sealer(DISTRICT, KEYS, user_id(who), f"phone-{who}")
    if told:
        district.commit(hello.remember(caller.device_pk, {"sign_key": made.sign_key}, at=district.now))
    return made


def carry(district: District, *bundles: bytes, by: str = "user:carrier", newest: int = 1) -> None:
    def opener(identity: str, sealed: bytes, info: bytes) -> bytes | None:
        return KEYS.open(identity, sealed, info, newest=newest)

    opened = [open_bundle(bundle, DISTRICT, opener) for bundle in bundles]
    work = hand_in_work(opened)
    commit_group(district.store, [(work, district.context(by))])[0].result()


def reasons(district: District) -> list[str]:
    return [row["reason"] for row in district.kept_aside()]


def outcomes(district: District) -> list[str]:
    return [row["outcome"] for row in district.rows("sealed_bundle")]


# --- filed -----------------------------------------------------------------------------------------------------------


def test_what_a_locked_phone_captured_is_a_case_of_its_author_whoever_carries_it(district: District) -> None:
    phone, sent = sealer(district), district.phone("an").new(title="三楼漏水")
    carry(district, phone.seal(sent), by=f"user:{user_id('bo')}")
    (case,) = district.documents("cases")
    assert (case["id"], case["title"], case["author"], case["device"]) == (
        sent["id"],
        "三楼漏水",
        user_id("an"),
        "phone-an",
    )
    assert "issues" not in case
    assert district.kept_aside() == []
    (row,) = district.rows("sealed_bundle")
    assert (row["carrier"], row["outcome"], row["doc_id"]) == (f"user:{user_id('bo')}", "pushed", sent["id"])
    said = {(line["action"], line["actor"]) for line in district.rows("audit")[-2:]}
    assert said == {
        ("push:cases", f"user:{user_id('an')}"),
        ("sealed.taken", f"user:{user_id('bo')}"),
    }


def test_the_author_has_it_back_by_his_next_pull_and_the_carrier_sees_what_he_saw_before(
    district: District,
) -> None:
    phone, sent = sealer(district), district.phone("an").new(location=middle_of(HOME))
    carry(district, phone.seal(sent), by=f"user:{user_id('cui')}")
    assert sent["id"] in district.phone("an").pull("cases")
    assert sent["id"] not in district.phone("cui").pull("cases")


def test_the_same_bundle_carried_in_by_three_phones_is_one_case_and_every_carrier_is_written_down(
    district: District,
) -> None:
    phone, sent = sealer(district), district.phone("an").new()
    again = phone.seal(sent)  # sealed once more: other bytes, the same capture
    for by, bundle in (("user:1", phone.seal(sent)), ("user:2", again), ("cli:root", again)):
        carry(district, bundle, by=by)
    assert len(district.documents("cases")) == 1
    assert district.rows("change") == []
    assert district.kept_aside() == []
    assert [(row["carrier"], row["outcome"]) for row in district.rows("sealed_bundle")] == [
        ("user:1", "pushed"),
        ("user:2", "again"),
        ("cli:root", "again"),
    ]


def test_what_the_phone_pushes_itself_once_it_is_open_again_is_no_second_case(district: District) -> None:
    phone, sent = sealer(district), district.phone("an").new()
    carry(district, phone.seal(sent))
    district.phone("an").push("cases", sent)
    assert len(district.documents("cases")) == 1
    assert district.rows("change") == []
    other = district.phone("an").new()
    district.phone("an").push("cases", other)
    carry(district, phone.seal(other))
    assert len(district.documents("cases")) == 2
    assert district.rows("change") == []
    assert district.kept_aside() == []


def test_a_note_finds_the_case_that_was_sealed_before_it_in_whatever_order_they_come(
    district: District,
) -> None:
    phone, an = sealer(district), district.phone("an")
    case = an.new()
    note = an.entry(case["id"], body={"text": "两户都在家"})
    carry(district, phone.seal(note, "entries"), phone.seal(case))
    (entry,) = district.entries_of(case["id"], "note")
    assert entry["body"] == {"text": "两户都在家"}
    assert district.rows("waiting") == []


def test_half_a_character_is_no_fault_of_a_sealed_capture(district: District) -> None:
    phone, sent = sealer(district), district.phone("an").new()
    said = json.dumps(phone.statement(sent | {"title": "半个\ud83d字"}))
    carry(district, phone.seal_text(said))
    assert [case["id"] for case in district.documents("cases")] == [sent["id"]]


def test_what_is_sealed_to_an_older_key_opens_after_a_rotation_and_to_a_newer_one_after_a_restore(
    district: District,
) -> None:
    phone, an = sealer(district), district.phone("an")
    older = phone.seal(an.new())
    phone.to(KEYS, 5)
    carry(district, older, newest=5)
    carry(district, phone.seal(an.new()), newest=1)
    assert len(district.documents("cases")) == 2


# --- kept aside ------------------------------------------------------------------------------------------------------


def test_nobody_files_in_the_name_of_somebody_else(district: District) -> None:
    an, bo = sealer(district), sealer(district, "bo")
    sent = district.phone("an").new()
    carry(district, an.seal(sent, signed_by=bo.private))
    carry(district, bo.seal(sent, author=user_id("an"), device="phone-an"))
    carry(district, an.seal(sent, author=user_id("bo")))
    carry(district, an.seal(sent, signed_by=Ed25519PrivateKey.from_private_bytes(bytes(32))))
    assert district.documents("cases") == []
    assert reasons(district) == ["statement_wrong"] * 3 + ["signer_unknown"]
    assert {row["user_pk"] for row in district.kept_aside()} == {None}
    assert district.notices_of("an") == []


def test_a_key_that_was_never_told_in_a_session_proves_nothing_until_it_is(district: District) -> None:
    phone = sealer(district, told=False)
    bundle = phone.seal(district.phone("an").new(title="锁机时记的"))
    carry(district, bundle)
    assert district.documents("cases") == []
    (kept,) = district.kept_aside()
    assert (kept["reason"], kept["user_pk"]) == ("signer_unknown", None)
    assert kept["content"]["new"]["title"] == "锁机时记的"
    assert kept["content"]["claimed"]["author"] == user_id("an")
    sealer(district)
    carry(district, bundle)
    assert [case["title"] for case in district.documents("cases")] == ["锁机时记的"]


def test_an_unproven_bundle_does_not_bar_the_way_of_the_true_one(district: District) -> None:
    phone, sent = sealer(district), district.phone("an").new()
    said = json.dumps(phone.statement(sent))
    forged = json.loads(json.dumps({"statement": said, "signer": "", "signature": "AAAA"}))
    for signer in ("0" * 16, district.rows("device_key")[0]["id"]):
        carry(district, phone.wrap(json.dumps(forged | {"signer": signer}).encode()))
    assert reasons(district) == ["signer_unknown", "signature_wrong"]
    carry(district, phone.seal(sent))
    assert [case["id"] for case in district.documents("cases")] == [sent["id"]]


def test_a_signature_for_another_district_or_key_is_worth_nothing_here(district: District) -> None:
    phone = sealer(district)
    elsewhere = Sealer("990101", KEYS, phone.author, phone.device)
    inner = KEYS.open(elsewhere.key, *_parts(elsewhere), newest=1)
    assert inner is not None
    carry(district, phone.wrap(inner))
    assert reasons(district) == ["signature_wrong"]


def _parts(phone: Sealer) -> tuple[bytes, bytes]:
    document = {"id": "01998d6f-3c00-7000-8000-0000000000a1", "kind": "dispute", "w": "1:x"}
    sealed = from_base64url(json.loads(phone.seal(document))["sealed"])
    assert sealed is not None
    return sealed, binding(phone.district, phone.key)


def broken(phone: Sealer) -> dict[bytes, str]:
    """Bundles that cannot be opened, or say nothing that can be read, and why."""
    good = phone.seal({"id": "01998d6f-3c00-7000-8000-0000000000a1", "kind": "dispute", "w": "1:x"})
    outside = json.loads(good)

    def with_(**fields: Any) -> bytes:
        return json.dumps(outside | fields).encode()

    return {
        b"5": "bundle_malformed",
        b"{}": "bundle_malformed",
        with_(sealed=7): "bundle_malformed",
        with_(sealed="%%%"): "bundle_malformed",
        with_(wangge_sealed=2): "bundle_version",
        with_(district="990101"): "bundle_district",
        with_(key="0" * 16): "bundle_key",
        with_(sealed=""): "bundle_unopened",
        with_(sealed=outside["sealed"][:-9]): "bundle_unopened",
        phone.wrap(b"no json"): "bundle_content",
        phone.wrap(b'{"statement": 1}'): "bundle_content",
        phone.seal_text("[]"): "bundle_content",
        phone.seal_text('{"author": "'): "bundle_content",
        phone.seal({"w": "1:x"}, "no_such_collection"): "statement_wrong",
        # what one of our databases or the other cannot hold
        phone.seal({"w": "1:x"}, counter=2**70): "bundle_content",
        phone.seal({"w": "1:x"}, counter=-1): "bundle_content",
        phone.seal({"w": f"{10**30}:x"}): "bundle_content",
        phone.seal({"w": "1:x"}, author="a\0"): "bundle_content",
        phone.seal({"w": "1:x"}, device="a\0"): "bundle_content",
        phone.wrap(b'{"statement": "{}", "signer": "a\\u0000", "signature": ""}'): "bundle_content",
    }


def test_what_cannot_be_opened_or_proven_is_kept_whole_and_once(district: District) -> None:
    phone = sealer(district)
    good = district.phone("an").new()
    cases = broken(phone)
    for _ in range(2):
        carry(district, *cases, phone.seal(good))
    assert [case["id"] for case in district.documents("cases")] == [good["id"]]
    kept = {row["content"]["bundle"].encode(): row["reason"] for row in district.kept_aside()}
    assert kept == cases
    assert len(district.kept_aside()) == len(cases)


def test_an_id_with_a_nul_is_kept_for_the_centre_and_does_not_turn_its_neighbours_away(
    district: District,
) -> None:
    phone, an = sealer(district), district.phone("an")
    good = an.new(title="好")
    carry(district, phone.seal({**an.new(), "id": "a\0b"}), phone.seal(good))
    assert [case["id"] for case in district.documents("cases")] == [good["id"]]
    assert len(district.kept_aside()) == 1


def test_what_its_author_sealed_and_nobody_can_read_is_kept_in_his_name(district: District) -> None:
    phone = sealer(district)
    odd: tuple[tuple[Any, int], ...] = (("no object", 1), ({"w": "7:x"}, 2), ({"w": 5}, 3), ({}, 4))
    carry(district, *(phone.seal(document, counter=counter) for document, counter in odd))
    kept = district.kept_aside()
    assert [row["reason"] for row in kept] == ["document_wrong"] * 4
    assert {row["user_pk"] for row in kept} == {district.users["an"]}
    assert {notice["code"] for notice in district.notices_of("an")} == {"document_wrong"}


def test_what_a_stopped_device_sealed_is_kept_aside_and_changes_nothing(district: District) -> None:
    phone, sent = sealer(district), district.phone("an").new(title="三楼漏水")
    device_pk = district.caller("an", "phone-an").device_pk
    district.store.write(lambda tx: tx.update("device", {"pk": device_pk}, {"revoked_at": 1}))
    for _ in range(2):
        carry(district, phone.seal(sent))
    assert district.documents("cases") == []
    (kept,) = district.kept_aside()
    assert (kept["reason"], kept["user_pk"], kept["content"]["new"]["title"]) == (
        "device_revoked",
        district.users["an"],
        "三楼漏水",
    )
    assert [notice["code"] for notice in district.notices_of("an")] == ["device_revoked"]
    assert outcomes(district) == ["device_revoked", "again"]


def test_what_is_no_capture_is_not_done_for_whoever_holds_the_locked_phone(district: District) -> None:
    phone, an = sealer(district), district.phone("an")
    case = an.capture()
    act = an.entry(case["id"], "act", {"act": "void", "args": {"reason": "x"}, "seen_status": "submitted"})
    notice = {"id": district.chance.uuid7(1), "read_at": 5, "w": an.next_w()}
    carry(district, phone.seal(act, "entries"), phone.seal(notice, "notices"))
    assert district.entries_of(case["id"], "act") == []
    assert reasons(district) == ["no_capture"] * 2


def test_of_a_closed_account_nothing_is_filed_and_nothing_lost(district: District) -> None:
    phone, sent = sealer(district), district.phone("an").new()

    def close(tx: Any, context: Context) -> None:
        tx.update("account", {"username": "an"}, {"state": "closed"})
        tx.raise_config()

    district.commit(close)
    carry(district, phone.seal(sent))
    assert district.documents("cases") == []
    assert reasons(district) == ["author_closed"]


def test_a_counter_that_comes_again_with_other_content_is_never_silently_the_first_or_the_last(
    district: District,
) -> None:
    phone, sent = sealer(district), district.phone("an").new(title="甲")
    carry(district, phone.seal(sent), phone.seal(sent | {"title": "乙"}))
    titles = {case["title"] for case in district.documents("cases")}
    (kept,) = district.kept_aside()
    assert kept["reason"] == "counter_reused"
    assert titles | {kept["content"]["new"]["title"]} == {"甲", "乙"}


def test_a_capture_far_from_home_is_filed_like_any_push_of_its_author(district: District) -> None:
    phone, sent = sealer(district), district.phone("an").new(location=middle_of(FAR))
    carry(district, phone.seal(sent))
    assert district.whole("cases", sent["id"])["cell"] == FAR


def test_one_bundle_on_which_the_server_fails_does_not_turn_its_neighbours_away(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone, an = sealer(district), district.phone("an")
    bad, good = an.new(title="坏"), an.new(title="好")
    whole = push_of(monkeypatch)
    carry(district, phone.seal(bad), phone.seal(good))
    assert whole  # it did fail
    assert [case["title"] for case in district.documents("cases")] == ["好"]
    assert reasons(district) == ["row_failed"]
    monkeypatch.undo()
    carry(district, phone.seal(bad))
    assert len(district.documents("cases")) == 2


def push_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The door fails for what is called 坏; returns what it failed for."""
    failed: list[str] = []

    def fails(caller: Any, collection: int, body: bytes) -> Any:
        work = push_work(caller, collection, body)

        def run(tx: Any, context: Context) -> Any:
            done = work(tx, context)
            if json.loads(body)[0]["newDocumentState"]["title"] == "坏":
                failed.append(caller.user_name)
                raise ZeroDivisionError
            return done

        return run

    monkeypatch.setattr("sync.hand_in.push_work", fails)
    return failed


def test_a_bundle_shows_nothing_of_whom_or_what_it_is(district: District) -> None:
    phone = sealer(district)
    small = phone.seal(district.phone("an").new(title="小"))
    larger = phone.seal(district.phone("an").new(title="大" * 20))
    for bundle in (small, larger):
        assert set(json.loads(bundle)) == {"wangge_sealed", "district", "key", "sealed"}
        assert phone.author.encode() not in bundle
    assert len(small) == len(larger)
