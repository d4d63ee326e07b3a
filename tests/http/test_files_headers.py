"""Headers of an upload as a stranger may spoil them: a clear answer each time, never an error of ours.

The requests go to the application itself: a client for tests refuses to send such headers, a socket does not.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.http.town import new_id
from tests.http.tus import FILES, checksum, create, encoded

if TYPE_CHECKING:
    from tests.http.town import Town

DATA = b"12345"
NAMES = (
    b"tus-resumable",
    b"upload-length",
    b"upload-metadata",
    b"upload-checksum",
    b"upload-offset",
    b"upload-concat",
    b"upload-defer-length",
    b"content-type",
    b"content-length",
    b"content-encoding",
    b"x-http-method-override",
    b"expect",
)
# What a parser of HTTP lets through in the value of a header.
_VALUES = st.one_of(
    st.binary(max_size=40).map(lambda value: bytes(byte for byte in value if byte not in b"\r\n\0").strip()),
    st.sampled_from(
        [b"", b"sha256 \xe9", b"file_id \xe9", b"\xe9 YQ==", b"\xb2", b"-1", b"9" * 400, b"PATCH", b"HEAD"]
    ),
)


def sent(
    town: Town, method: str, path: str, changes: dict[bytes, bytes | None], body: bytes = b""
) -> tuple[int, dict[bytes, bytes], bytes]:
    """A good request of a worker with some of its headers changed (None: left out): status, headers, body."""
    metadata = encoded(file_id=new_id(), sha256="0" * 64).encode()
    headers: dict[bytes, bytes | None] = {
        b"host": b"testserver",
        b"authorization": town.bearer("grid_worker")["Authorization"].encode(),
        b"tus-resumable": b"1.0.0",
        b"upload-length": b"5",
        b"upload-metadata": metadata,
        b"upload-offset": b"0",
        b"content-type": b"application/offset+octet-stream",
        **changes,
    }
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name, value) for name, value in headers.items() if value is not None],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    answer: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        answer.append(message)

    async def call() -> None:
        await town.client.app(scope, receive, send)

    with town.client.portal() as portal:
        portal.call(call)
    told = b"".join(message.get("body", b"") for message in answer[1:])
    return answer[0]["status"], dict(answer[0]["headers"]), told


@pytest.mark.parametrize(
    "changes",
    [
        {b"upload-metadata": b"file_id \xe9\xe9\xe9\xe9"},
        {b"upload-metadata": encoded(file_id=new_id(), sha256="0" * 64).encode() + b",\xe9 YQ=="},
        {b"upload-metadata": encoded(file_id=new_id(), sha256="0" * 64).encode() + b",\x85 YQ=="},
        {b"upload-checksum": b"sha256 \xe9\xe9\xe9\xe9"},
        {b"upload-length": b"\xb2"},
    ],
    ids=["metadata", "a key", "a control character", "checksum", "length"],
)
def test_a_header_that_is_no_ascii_is_told_clearly(
    shared_town: Town, changes: dict[bytes, bytes | None]
) -> None:
    status, headers, body = sent(shared_town, "POST", FILES, changes)
    assert (status, headers[b"content-type"]) == (400, b"application/problem+json"), body
    assert json.loads(body)["code"] == "bad_request"


def test_a_checksum_that_is_no_ascii_keeps_nothing_of_its_body(shared_town: Town) -> None:
    where = create(shared_town, "grid_worker", new_id(), DATA).headers["location"]
    status, _, _ = sent(shared_town, "PATCH", where, {b"upload-checksum": b"sha256 \xe9"}, DATA)
    assert status == 400
    status, headers, _ = sent(shared_town, "HEAD", where, {})
    assert (status, headers[b"upload-offset"]) == (200, b"0")


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    method=st.sampled_from(["POST", "PATCH", "HEAD", "POST to it"]),
    changes=st.dictionaries(st.sampled_from(NAMES), st.none() | _VALUES, min_size=1, max_size=3),
    good=st.booleans(),
)
def test_whatever_the_headers_say_it_is_no_error_of_ours(
    shared_town: Town, method: str, changes: dict[bytes, bytes | None], good: bool
) -> None:
    """Each header that tus reads, spoiled at will, beside a checksum that is right or absent."""
    path = FILES
    if method != "POST":
        path = create(shared_town, "grid_worker", new_id(), DATA).headers["location"]
    told = {b"upload-checksum": checksum(DATA).encode()} if good else {}
    method = method.partition(" ")[0]
    status, headers, body = sent(shared_town, method, path, {**told, **changes}, DATA)
    assert status < 500, (status, body)
    if status >= 400 and method != "HEAD":
        assert headers[b"content-type"] == b"application/problem+json", body
    if path != FILES:
        shared_town.client.delete(
            path, headers={"Tus-Resumable": "1.0.0", **shared_town.bearer("grid_worker")}
        )
