"""The module with which a phone seals, run in Node against the real server over a socket."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.http.town import CELLS, CODE, middle_of, new_id

if TYPE_CHECKING:
    from tests.rxdb.conftest import Served

pytestmark = pytest.mark.rxdb
HERE = Path(__file__).parent


def sealed_by_the_phone(to: dict[str, Any], captures: list[dict[str, Any]]) -> tuple[str, list[bytes]]:
    """The phone's signing key, and its bundles as they stand in a file."""
    node = shutil.which("node")
    assert node is not None, "no Node: run `make setup`"
    asked = json.dumps({"to": to, "captures": captures}).encode()
    done = subprocess.run([node, "sealed.mjs"], cwd=HERE, input=asked, stdout=subprocess.PIPE, check=True)
    told = json.loads(done.stdout)
    return told["sign_key"], told["file"].encode().splitlines()


def captured(author: str, device: str, counter: int, document: dict[str, Any], name: str) -> dict[str, Any]:
    document |= {"w": f"{counter}:{new_id()}"}
    return {
        "author": author,
        "device": device,
        "counter": counter,
        "captured_at": 1,
        "collection": name,
        "document": document,
    }


def test_what_the_phone_s_own_module_seals_is_carried_in_opened_and_filed(district: Served) -> None:
    told = district.post("grid_worker", "/sync/v1/hello", {}).json()
    author, device = told["user"], told["device"]
    to = {"district": CODE, **{name: told["sealing"][name] for name in ("key", "public")}}
    case = {
        "id": new_id(),
        "kind": "dispute",
        "title": "半个\ud83d字,三楼漏水",
        "description": "漏" * 2000,
        "captured_at": 1_799_999_000_000,
        "location": middle_of(CELLS[0]),
    }
    note = {"id": new_id(), "case_id": case["id"], "type": "note", "body": {"text": "两户都在家"}}
    sign_key, bundles = sealed_by_the_phone(
        to, [captured(author, device, 1, case, "cases"), captured(author, device, 2, note, "entries")]
    )
    assert district.post("grid_worker", "/sync/v1/hello", {"sign_key": sign_key}).json()["signers"]
    answer = district.post("grid_worker_2", "/sync/v1/sealed", b'{"bundles":[%b]}' % b",".join(bundles))
    assert answer.json() == {"results": ["taken", "taken"]}
    assert district.get("clerk", "/api/v1/quarantine").json()["items"] == []
    page = district.get("grid_worker", f"/api/v1/cases/{case['id']}").json()
    assert (page["case"]["author"], page["case"]["description"]) == (author, case["description"])
    assert [line["body"]["text"] for line in page["timeline"] if line["type"] == "note"] == ["两户都在家"]


def test_a_phone_whose_key_was_not_told_is_put_aside_and_then_filed(district: Served) -> None:
    told = district.post("grid_worker", "/sync/v1/hello", {}).json()
    to = {"district": CODE, **{name: told["sealing"][name] for name in ("key", "public")}}
    case = {"id": new_id(), "kind": "hazard", "title": "井盖缺失", "captured_at": 1}
    capture = captured(told["user"], told["device"], 1, case, "cases")
    sign_key, (bundle,) = sealed_by_the_phone(to, [capture])
    for reasons in (["signer_unknown"], ["signer_unknown"]):
        district.post("clerk", "/sync/v1/sealed", b'{"bundles":[%b]}' % bundle)
        items = district.get("clerk", "/api/v1/quarantine").json()["items"]
        assert [item["reason"] for item in items] == reasons
        district.post("grid_worker", "/sync/v1/hello", {"sign_key": sign_key})
    assert district.get("grid_worker", f"/api/v1/cases/{case['id']}").status_code == 200
