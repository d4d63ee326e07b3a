"""Sealed bundles and receipts over HTTP: who may hand in, what is told, and what is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from server.cli import main
from server.sealing import newest_key
from tests.http.town import CELLS, CODE, PASSWORD, Town, middle_of, new_id
from tests.unit.sync.sealing import Sealer

if TYPE_CHECKING:
    from pathlib import Path

URL = "/sync/v1/sealed"


def capture(**fields: Any) -> dict[str, Any]:
    """A case as the form leaves it."""
    return {
        "id": new_id(),
        "kind": "dispute",
        "title": "三楼漏水",
        "captured_at": 1_799_999_000_000,
        "location": middle_of(CELLS[0]),
        "w": f"{next(_counters)}:{new_id()}",
    } | fields


_counters = iter(range(1, 10_000))


def phone_of(town: Town, user: str) -> Sealer:
    """The phone of somebody who is signed in, its key told at hello."""
    device = town.get(user, "/api/v1/devices").json()
    identity = next(row["id"] for row in device if row["current"])
    made = Sealer(CODE, town.district.keys.sealing, town.user_id(user), identity)
    answer = town.post(user, "/sync/v1/hello", {"sign_key": made.sign_key})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["signers"]) == 1
    return made


def carry(town: Town, user: str, *bundles: bytes) -> Any:
    return town.post(user, URL, b'{"bundles":[' + b",".join(bundles) + b"]}")


def newest(town: Town) -> int:
    return town.district.read_blocking(lambda reader: newest_key(town.district.config_of(reader)))


# --- handing in ------------------------------------------------------------------------------------------------------


def test_without_a_session_nobody_hands_in_or_asks_for_a_receipt(town: Town) -> None:
    for path in (URL, "/sync/v1/receipts"):
        assert town.post(None, path, {}).status_code == 401


def test_a_colleague_carries_a_capture_in_and_learns_nothing_of_it(town: Town) -> None:
    phone, sent = phone_of(town, "grid_worker"), capture()
    good, bad = phone.seal(sent), phone.wrap(b"no capture")
    answers = [carry(town, "grid_worker_2", bundle) for bundle in (good, good, bad, b"{}")]
    assert {answer.content for answer in answers} == {b'{"results":["taken"]}'}
    assert {answer.status_code for answer in answers} == {200}
    assert "Wangge-Wipe" not in answers[0].headers
    assert town.get("grid_worker_2", f"/api/v1/cases/{sent['id']}").status_code == 404
    page = town.get("clerk", f"/api/v1/cases/{sent['id']}").json()
    case = page["case"]
    assert (case["author"], case["title"]) == (town.user_id("grid_worker"), "三楼漏水")
    assert [line["by"] for line in page["carried"]] == ["网格员乙", "网格员乙"]
    pushed = town.capture()
    assert town.get("clerk", f"/api/v1/cases/{pushed}").json()["carried"] == []


def test_many_are_taken_in_one_request_and_too_many_in_none(town: Town) -> None:
    phone = phone_of(town, "grid_worker")
    bundles = [phone.seal(capture()) for _ in range(3)]
    assert carry(town, "clerk", *bundles, b"7").json() == {"results": ["taken"] * 4}
    assert carry(town, "clerk").json() == {"results": []}
    refused = carry(town, "clerk", *[b"{}"] * 201)
    assert (refused.status_code, refused.json()["code"]) == (413, "batch_too_large")
    refused = town.post("clerk", URL, b" " * (4 << 20) + b'{"bundles":[]}')
    assert (refused.status_code, refused.json()["code"]) == (413, "batch_too_large")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"5", b"{}", b'{"bundles":{}}', b'{"bundles":[1', b'{"bundles":[],"x":1}', b"\xff"]
)
def test_a_body_that_is_no_list_of_bundles_is_a_clear_error(shared_town: Town, body: bytes) -> None:
    answer = shared_town.post("clerk", URL, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_a_bundle_nested_without_end_is_kept_and_turns_no_neighbour_away(town: Town) -> None:
    phone, sent = phone_of(town, "grid_worker"), capture()
    deep = b"[" * 100_000 + b"]" * 100_000
    assert carry(town, "clerk", deep, phone.seal(sent)).json() == {"results": ["taken"] * 2}
    assert town.get("clerk", f"/api/v1/cases/{sent['id']}").status_code == 200
    (item,) = town.get("clerk", "/api/v1/quarantine").json()["items"]
    assert (item["reason"], item["payload"]["bundle"]) == ("bundle_malformed", deep.decode())
    refused = town.post("clerk", URL, b'{"other":[' + deep + b"]}")
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")


def test_a_stopped_device_hands_in_what_it_sealed_and_is_told_to_wipe_itself(town: Town) -> None:
    body = {"username": "grid_worker", "password": PASSWORD, "device": {"id": "lost"}}
    token = town.client.post("/api/v1/sessions", json=body).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    lost = Sealer(CODE, town.district.keys.sealing, town.user_id("grid_worker"), "lost")
    town.client.post("/sync/v1/hello", json={"sign_key": lost.sign_key}, headers=headers)
    assert town.post("grid_worker", "/api/v1/devices/lost/revoke").status_code == 204
    sent = capture(title="丢手机前记的")
    bundles = b'{"bundles":[' + lost.seal(sent) + b"]}"
    answer = town.client.post(URL, content=bundles, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"results": ["taken"]})
    assert answer.headers["Wangge-Wipe"] == "true"
    assert town.get("clerk", f"/api/v1/cases/{sent['id']}").status_code == 404
    (item,) = town.get("clerk", "/api/v1/quarantine", reason="device_revoked").json()["items"]
    assert item["payload"]["new"]["title"] == "丢手机前记的"
    done = town.post("clerk", f"/api/v1/quarantine/{item['id']}/acts", {"act": "apply"})
    assert done.status_code == 200, done.text
    case = town.get("clerk", f"/api/v1/cases/{sent['id']}").json()["case"]
    assert case["author"] == town.user_id("grid_worker")


def test_what_was_not_proven_is_read_by_the_centre_and_no_push_in_anybody_s_name(town: Town) -> None:
    phone = Sealer(CODE, town.district.keys.sealing, town.user_id("grid_worker"), "never here")
    carry(town, "grid_worker_2", phone.seal(capture(title="没有登记的手机")))
    (item,) = town.get("clerk", "/api/v1/quarantine", reason="signer_unknown").json()["items"]
    assert (item["user"], item["payload"]["new"]["title"]) == (None, "没有登记的手机")
    assert town.get("clerk_2", "/api/v1/quarantine", reason="signer_unknown").json()["items"] == []
    refused = town.post("clerk", f"/api/v1/quarantine/{item['id']}/acts", {"act": "apply"})
    assert (refused.status_code, refused.json()["code"]) == (409, "still_impossible")
    body = {"act": "discard", "reason": "已由窗口重新登记"}
    assert town.post("clerk", f"/api/v1/quarantine/{item['id']}/acts", body).status_code == 200


# --- keys ------------------------------------------------------------------------------------------------------------


def test_hello_and_an_open_route_tell_the_same_key_and_a_rotation_leaves_the_older_readable(
    town: Town,
) -> None:
    phone = phone_of(town, "grid_worker")
    told = town.post("grid_worker", "/sync/v1/hello", {}).json()["sealing"]
    keys = town.get(None, f"/public/v1/keys/{CODE}").json()
    assert keys["sealing"] == told
    assert set(told) == {"version", "suite", "key", "public"}
    assert town.get(None, "/public/v1/keys/990101").status_code == 404
    older = phone.seal(capture())
    name = command(town, "sealed_rotate")
    after = town.get(None, f"/public/v1/keys/{CODE}").json()
    assert after["sealing"]["key"] == name != told["key"]
    assert after["receipts"] == keys["receipts"]
    phone.to(town.district.keys.sealing, newest(town))
    carry(town, "clerk", older, phone.seal(capture()))
    assert town.get("clerk", "/api/v1/quarantine").json()["items"] == []


def command(town: Town, name: str, **args: Any) -> Any:
    from server.commands import run_command

    return run_command(town.runtime, name, args, "cli:root")


@pytest.mark.parametrize("told", [5, "", "A" * 43, "*" * 43, "A" * 44, None, ["x"]])
def test_what_is_no_key_is_not_kept_and_no_error(shared_town: Town, told: Any) -> None:
    answer = shared_town.post(
        "dispatcher" if isinstance(told, str) and told == "A" * 43 else "clerk",
        "/sync/v1/hello",
        {"sign_key": told},
    )
    assert answer.status_code == 200
    assert len(answer.json()["signers"]) == (1 if told == "A" * 43 else 0)


def test_a_device_has_no_end_of_keys(town: Town) -> None:
    keys = [f"{number:02d}".ljust(43, "A") for number in range(20)]
    answers = [town.post("clerk", "/sync/v1/hello", {"sign_key": key}) for key in keys]
    assert [len(answer.json()["signers"]) for answer in answers] == [*range(1, 17), 16, 16, 16, 16]


# --- receipts --------------------------------------------------------------------------------------------------------


def test_the_author_gets_a_receipt_for_what_a_colleague_carried_and_the_colleague_none(town: Town) -> None:
    phone, sent = phone_of(town, "grid_worker"), capture()
    carry(town, "grid_worker_2", phone.seal(sent))
    wanted = {"writes": [{"collection": "cases", "id": sent["id"], "w": sent["w"]}]}
    told = town.post("grid_worker", "/sync/v1/receipts", wanted).json()
    receipt = json.loads(told["receipt"])
    assert (receipt["author"], receipt["device"]) == (town.user_id("grid_worker"), phone.device)
    assert [line["state"] for line in receipt["writes"]] == ["stored"]
    assert told["missing"] == []
    assert told["key"] == town.get(None, f"/public/v1/keys/{CODE}").json()["receipts"]["key"]
    other = town.post("grid_worker_2", "/sync/v1/receipts", wanted).json()
    assert (json.loads(other["receipt"])["writes"], other["missing"]) == ([], [sent["w"]])
    foreign = town.post("grid_worker_2", "/sync/v1/receipts", wanted | {"device": phone.device})
    unknown = town.post("grid_worker_2", "/sync/v1/receipts", wanted | {"device": "nobody's"})
    assert (foreign.status_code, foreign.content) == (404, unknown.content)


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"writes": 5},
        {"writes": [{}]},
        {"writes": [{"collection": "cases", "id": "x", "w": "x", "more": 1}]},
        {"writes": [{"collection": "cases", "id": "", "w": "x"}]},
        {"writes": [{"collection": "cases", "id": "x", "w": "x"}] * 501},
        {"writes": [], "device": 5},
    ],
)
def test_a_request_for_a_receipt_that_is_none_is_a_clear_error(shared_town: Town, body: Any) -> None:
    answer = shared_town.post("clerk", "/sync/v1/receipts", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


# --- the command line ------------------------------------------------------------------------------------------------


def run(town: Town, monkeypatch: pytest.MonkeyPatch, *words: str, code: int = 0) -> str:
    """`wangge` on this machine, while the town is served in this process."""
    from server import calling

    def call(_: Any, name: str, **args: Any) -> Any:
        return command(town, name, **args)

    monkeypatch.setattr(calling, "call", call)
    result = CliRunner().invoke(main, words)
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


def test_a_file_of_bundles_is_handed_in_at_a_desk(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = phone_of(town, "grid_worker")
    sent = [capture() for _ in range(205)]
    file = tmp_path / "bundles.jsonl"
    lines = [phone.seal(doc) for doc in sent]
    file.write_bytes(b"\n".join([*lines[:3], b"", b'{"wangge_sealed": 1, "half', b"\xff\xfe", *lines[3:]]))
    assert "207 bundles taken." in run(town, monkeypatch, "sealed", "hand-in", str(file))
    assert town.get("grid_worker", f"/api/v1/cases/{sent[204]['id']}").status_code == 200
    kept = town.get("clerk", "/api/v1/quarantine").json()["items"]
    assert [item["reason"] for item in kept] == ["bundle_malformed"] * 2
    rows = town.district.read_blocking(lambda reader: reader.find("sealed_bundle"))
    assert {row["carrier"] for row in rows} == {"cli:root"}
    other = tmp_path / "other.txt"
    other.write_text("购物清单\n", encoding="utf-8")
    assert "no sealed bundle" in run(town, monkeypatch, "sealed", "hand-in", str(other), code=1)


def test_a_receipt_is_checked_with_the_district_and_without_it(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone_of(town, "grid_worker")
    sent = capture()
    town.push("grid_worker", "cases", sent)
    wanted = {"writes": [{"collection": "cases", "id": sent["id"], "w": sent["w"]}]}
    told = town.post("grid_worker", "/sync/v1/receipts", wanted).json()
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(told), encoding="utf-8")
    public = town.get(None, f"/public/v1/keys/{CODE}").json()["receipts"]["public"]
    for words in ((), ("--public-key", public)):
        said = run(town, monkeypatch, "verify-receipt", str(file), *words)
        assert f"district {CODE}" in said
        assert f"stored\t{sent['w']}" in said
    file.write_text(json.dumps(told | {"receipt": told["receipt"].replace("stored", "Stored")}))
    for words in ((), ("--public-key", public)):
        assert "not signed with this key" in run(
            town, monkeypatch, "verify-receipt", str(file), *words, code=1
        )
    file.write_text("{")
    assert "is no receipt" in run(town, monkeypatch, "verify-receipt", str(file), code=1)


def test_a_receipt_of_a_history_that_was_restored_away_is_genuine_and_not_all_of_it_is_here(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from server.receipts import signed
    from sync import receipts

    phone = phone_of(town, "grid_worker")
    lost = receipts.Vouched("cases", new_id(), f"7:{new_id()}", 5, "stored")
    author = town.user_id("grid_worker")
    made = receipts.Receipt(1, CODE, author, phone.device, 1, 9, 1_800_000_000_000, [lost])
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(signed(town.district.keys.receipts, made)), encoding="utf-8")

    def restore(tx: Any, _: Any) -> None:
        tx.insert("epoch", [{"epoch": 4, "restored_to": 3}])
        tx.new_epoch(4)

    town.submit(restore)
    said = run(town, monkeypatch, "verify-receipt", str(file), code=1)
    assert "epoch 1" in said
    assert "restored to number 3; it is in epoch 4" in said
    assert f"not here: {lost.w}" in said
