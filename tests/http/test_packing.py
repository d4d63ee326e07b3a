"""Compression over HTTP: answers by what the phone likes best, pushes that come compressed."""

from __future__ import annotations

import gzip
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import brotli
import pytest
from backports import zstd

from server.packing import ANSWER_MIN
from tests.http.test_bad_input import problem
from tests.http.town import CELLS, Town, middle_of, new_id

if TYPE_CHECKING:
    from collections.abc import Callable

PACK: dict[str, Callable[[bytes], bytes]] = {
    "zstd": zstd.compress,
    "br": partial(brotli.compress, quality=1),
    "gzip": gzip.compress,
}
PUSH = "/sync/v1/cases/push"
each_encoding = pytest.mark.parametrize("encoding", PACK)


def rows(count: int = 1, **fields: Any) -> bytes:
    return json.dumps(
        [
            {
                "newDocumentState": {
                    "id": new_id(),
                    "kind": "request",
                    "title": "井盖松动",
                    "location": middle_of(CELLS[0]),
                    "captured_at": 1_800_000_000_000,
                    "w": f"{number + 1}:{new_id()}",
                    **fields,
                }
            }
            for number in range(count)
        ]
    ).encode()


def push(town: Town, user: str | None, body: bytes, encoding: str, path: str = PUSH) -> Any:
    headers = {"Content-Encoding": encoding} | ({} if user is None else town.bearer(user))
    return town.client.post(path, content=body, headers=headers)


def stored(town: Town) -> int:
    with town.district.store.read() as reader:
        return len(reader.find("document", {"collection": 0}, columns=["pk"])) + len(
            reader.find("quarantine")
        )


@each_encoding
def test_a_pull_and_a_hello_come_as_the_phone_likes_them(town: Town, encoding: str) -> None:
    for _ in range(3):
        town.capture()
    headers = town.bearer("grid_worker") | {"Accept-Encoding": encoding}
    body = {"checkpoint": None, "limit": 1}
    packed = town.client.post("/sync/v1/cases/pull", json=body, headers=headers)
    plain = town.client.post(
        "/sync/v1/cases/pull", json=body, headers=headers | {"Accept-Encoding": f"{encoding};q=0"}
    )
    assert packed.headers["content-encoding"] == encoding
    assert "content-encoding" not in plain.headers
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    unpack = {"zstd": zstd.decompress, "br": brotli.decompress, "gzip": gzip.decompress}[encoding]
    with town.client.stream("POST", "/sync/v1/cases/pull", json=body, headers=headers) as raw:
        found = json.loads(unpack(b"".join(raw.iter_raw())))
    assert found["documents"] == plain.json()["documents"]  # FL3
    hello = town.client.post("/sync/v1/hello", json={"app": "x"}, headers=headers)
    assert hello.headers.get("content-encoding") == (encoding if len(hello.content) >= ANSWER_MIN else None)


def test_what_is_small_goes_as_it_is(town: Town) -> None:
    answer = town.client.get("/health/live", headers={"Accept-Encoding": "gzip, br, zstd"})
    assert "content-encoding" not in answer.headers


@each_encoding
def test_a_push_may_come_compressed(town: Town, encoding: str) -> None:
    body = rows(40)
    before = stored(town)
    assert problem(push(town, None, PACK[encoding](body), encoding)) == (401, "token_refused")
    answer = push(town, "grid_worker", PACK[encoding](body), encoding)
    assert answer.status_code == 200, answer.text
    assert [row["status"] for row in answer.json()] == ["submitted"] * 40
    assert stored(town) == before + 40  # FL4
    assert encoding in town.post("grid_worker", "/sync/v1/hello", {}).json()["limits"]["encodings"]


@each_encoding
def test_nothing_is_stored_of_a_body_that_is_broken_too_large_or_a_bomb(town: Town, encoding: str) -> None:
    pack, before = PACK[encoding], stored(town)
    whole = pack(rows(3))
    for broken in (whole[:-5], whole + b"[]", b"not packed at all", rows()):
        assert problem(push(town, "grid_worker", broken, encoding)) == (400, "encoding_broken")
    large = rows(1_000, description="长" * 1_600)
    assert len(pack(large)) < 4 << 20 < len(large)
    assert problem(push(town, "grid_worker", pack(large), encoding)) == (413, "batch_too_large")
    bomb = pack(b"[" + b" " * (8 << 20) + b"]")
    assert problem(push(town, "grid_worker", bomb, encoding)) == (413, "batch_too_large")
    assert stored(town) == before


def test_other_encodings_and_other_addresses_are_refused(town: Town) -> None:
    for encoding in ("deflate", "gzip, gzip", "compress"):
        answer = push(town, "grid_worker", gzip.compress(rows()), encoding)
        assert problem(answer) == (415, "encoding_refused")
        assert answer.headers["accept-encoding"] == "zstd, br, gzip"
    body = gzip.compress(json.dumps({"checkpoint": None, "limit": 1}).encode())
    answer = push(town, "grid_worker", body, "gzip", "/sync/v1/cases/pull")
    assert problem(answer) == (415, "encoding_refused")
    assert answer.headers["accept-encoding"] == "identity"
    assert push(town, "grid_worker", rows(), "identity").status_code == 200
