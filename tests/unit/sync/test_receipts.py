"""RE: what a phone can prove to have handed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from server.receipts import checked, signed, standing
from server.signing import ReceiptKey
from sync import receipts
from sync.errors import BadRequest, NotFound
from sync.receipts import Write
from tests.unit.sync.district import DISTRICT, user_id

if TYPE_CHECKING:
    from sync.receipts import Receipt, Vouched
    from tests.unit.sync.district import District

KEY = ReceiptKey(bytes(32))


def asked_for(collection: str, *docs: dict[str, Any]) -> list[Write]:
    return [Write(collection, doc["id"], doc["w"]) for doc in docs]


def receipt_for(district: District, who: str, writes: list[Write], device: str | None = None) -> Receipt:
    own = f"phone-{who}"
    with district.store.read() as reader:
        asked = receipts.Asked(writes, device)
        row = receipts.device_of(reader, district.users[who], own, asked)
        return receipts.receipt(reader, DISTRICT, user_id(who), row, writes, wall=district.now)


def vouched(district: District, who: str, writes: list[Write]) -> list[Vouched]:
    return receipt_for(district, who, writes).writes


def test_a_capture_and_its_edits_are_each_vouched_for_by_the_number_of_their_commit(
    district: District,
) -> None:
    an = district.phone("an")
    sent = an.new(title="甲")
    born = an.push("cases", sent)
    edits = []
    for title in ("乙", "丙"):
        edits.append(born | {"title": title, "w": an.next_w()})
        born = an.push("cases", edits[-1], base=born)
    found = vouched(district, "an", asked_for("cases", sent, *edits))
    assert [(line.state, line.w) for line in found] == [("stored", doc["w"]) for doc in (sent, *edits)]
    numbers = [line.n for line in found]
    assert numbers == sorted(set(numbers))
    row = district.row("cases", sent["id"])
    assert (numbers[0], numbers[-1]) == (row.born, row.seq)
    assert len({line.digest for line in found}) == 3
    # What the server itself writes later moves no number of the phone's.
    district.act("director", sent["id"], "rate", colour="red", reason="扬言报复")
    assert district.row("cases", sent["id"]).seq > numbers[-1]
    assert vouched(district, "an", asked_for("cases", sent, *edits)) == found


def test_what_was_put_aside_is_vouched_for_as_such_and_what_never_came_is_not(district: District) -> None:
    an, cui = district.phone("an"), district.phone("cui")
    case = an.capture()
    foreign = {"id": case["id"], "kind": "dispute", "title": "x", "captured_at": 1, "w": "7:x"}
    cui.push("cases", foreign)
    never = cui.new()
    assert [line.state for line in vouched(district, "cui", asked_for("cases", foreign, never))] == [
        "kept_aside"
    ]


def test_what_lost_a_merge_wholly_is_vouched_for_as_kept_in_the_ledger(district: District) -> None:
    an, bo = district.phone("an"), district.phone("bo")
    case = an.capture(title="甲")
    held = bo.pull("cases")[case["id"]]
    an.edit(case, title="乙")
    lost = held | {"kind": "dispute", "captured_at": 5, "w": bo.next_w()}
    bo.push("cases", lost, base=held)
    assert len(district.ledger(case["id"])) == 1
    assert [line.state for line in vouched(district, "bo", asked_for("cases", lost))] == ["ledger"]


def test_a_write_of_another_phone_is_nobody_else_s_to_prove(district: District) -> None:
    an = district.phone("an")
    sent = an.new()
    an.push("cases", sent)
    district.phone("bo").pull("cases")
    assert vouched(district, "bo", asked_for("cases", sent)) == []
    with pytest.raises(NotFound):
        receipt_for(district, "bo", asked_for("cases", sent), device="phone-an")
    # Of an own phone, though another one, it is: the old one was lost.
    district.caller("an", "another")
    assert [line.w for line in receipt_for(district, "an", asked_for("cases", sent), "phone-an").writes] == [
        sent["w"]
    ]


@pytest.mark.parametrize(
    "write", [Write("no_such", "x", "1:x"), Write("cases", "no uuid", "1:x"), Write("cells", "x", "1:x")]
)
def test_what_cannot_be_is_missing_and_no_error(district: District, write: Write) -> None:
    district.phone("an")
    assert vouched(district, "an", [write]) == []


def test_a_receipt_of_which_one_letter_was_changed_is_none(district: District) -> None:
    an = district.phone("an")
    sent = an.new()
    an.push("cases", sent)
    told = signed(KEY, receipt_for(district, "an", asked_for("cases", sent)))
    assert checked(told, KEY.public).writes[0].w == sent["w"]
    for place in range(0, len(told["receipt"]), 17):
        text = told["receipt"]
        other = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
        with pytest.raises(BadRequest):
            checked(told | {"receipt": other}, KEY.public)
    for harm in (
        {"signature": ""},
        {"signature": "%"},
        {"signature": 5},
        {"receipt": 5},
        {"receipt": "{}"},
        {"receipt": "\ud800"},
    ):
        with pytest.raises(BadRequest):
            checked(told | harm, KEY.public)
    for key in (ReceiptKey(b"1" * 32).public, b"", b"short"):
        with pytest.raises(BadRequest):
            checked(told, key)
    nothing: Any
    for nothing in (5, [], "x"):
        with pytest.raises(BadRequest):
            checked(nothing, KEY.public)


def test_a_receipt_from_before_a_restore_is_genuine_and_says_which_epoch_it_is_of(
    district: District,
) -> None:
    an = district.phone("an")
    kept, lost = an.new(), an.new()
    an.push("cases", kept)
    restored_to = district.row("cases", kept["id"]).seq
    made = receipt_for(district, "an", [*asked_for("cases", kept), *asked_for("cases", lost)])
    lying = msgspec.structs.replace(
        made,
        writes=[*made.writes, msgspec.structs.replace(made.writes[0], w=lost["w"], id=lost["id"])],
    )

    def restore(tx: Any) -> None:
        tx.insert("epoch", [{"epoch": 9, "restored_to": restored_to}])
        tx.new_epoch(9)

    district.store.write(restore)
    with district.store.read() as reader:
        said = standing(reader, lying)
    assert said == {"epoch": 9, "restored_to": restored_to, "missing": [lost["w"]]}
    assert receipt_for(district, "an", asked_for("cases", kept)).epoch == 9
    assert made.epoch == 1


def test_one_signature_answers_for_many_writes(district: District, monkeypatch: pytest.MonkeyPatch) -> None:
    an = district.phone("an")
    sent = [an.new() for _ in range(50)]
    count: list[int] = []
    sign = ReceiptKey.sign

    def counted(self: ReceiptKey, message: bytes) -> bytes:
        count.append(1)
        return sign(self, message)

    monkeypatch.setattr(ReceiptKey, "sign", counted)
    an.push("cases", *sent)
    assert count == []
    told = signed(KEY, receipt_for(district, "an", asked_for("cases", *sent)))
    assert len(checked(told, KEY.public).writes) == 50
    assert count == [1]
