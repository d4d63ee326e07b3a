"""Sending the bytes of files over HTTP: the way of an upload, its limits, and whose it is (FI1–FI5)."""

from __future__ import annotations

import hashlib
import io
import json
import random
from itertools import pairwise

import pytest
from PIL import Image

from server.files import tus
from sync import uploads
from tests import files
from tests.http.town import CELLS, PASSWORD, Town, new_id
from tests.http.tus import (
    BODY,
    FILES,
    TUS,
    checksum,
    create,
    document,
    encoded,
    on_disk,
    patch,
    pulled,
    rows,
    send,
    settled,
    state,
)

# --- anonymous, and what is spoken -----------------------------------------------------------------------------------


def test_anybody_learns_what_of_tus_is_spoken_and_nothing_else(town: Town) -> None:
    answer = town.client.options(FILES)
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == answer.headers["tus-resumable"] == "1.0.0"
    extensions = set(answer.headers["tus-extension"].split(","))
    assert extensions == {"creation", "creation-with-upload", "checksum", "termination", "expiration"}
    assert answer.headers["tus-checksum-algorithm"] == "sha256"
    assert int(answer.headers["tus-max-size"]) == uploads.LENGTH_MAX
    where = f"{FILES}/uploads/0"
    for method, path in (
        ("POST", FILES), ("HEAD", where), ("PATCH", where), ("DELETE", where), ("POST", where),
        ("GET", f"{FILES}/{new_id()}"), ("GET", f"{FILES}/{new_id()}/thumbnail"),
    ):  # fmt: skip
        assert town.client.request(method, path, headers=TUS).status_code == 401, (method, path)


def test_another_tus_is_refused_and_the_refusal_says_which_is_spoken(town: Town) -> None:
    for method, path in (("POST", FILES), ("HEAD", f"{FILES}/uploads/0"), ("PATCH", f"{FILES}/uploads/0")):
        for told in ({}, {"Tus-Resumable": "0.2.2"}):
            headers = {**town.bearer("grid_worker"), **told, "Content-Type": BODY["Content-Type"]}
            answer = town.client.request(method, path, headers=headers)
            assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0")


# --- the way of a file -----------------------------------------------------------------------------------------------


def test_a_photo_is_missing_then_partial_then_verified_and_each_phone_hears_of_it(town: Town) -> None:
    case, data = town.capture(), files.picture(size=(640, 480))
    file_id = document(town, "grid_worker", case, data)
    assert state(town, file_id) == ("missing", None)
    where = create(town, "grid_worker", file_id, data).headers["location"]
    assert state(town, file_id) == ("missing", None)
    assert patch(town, "grid_worker", where, 0, data[:100]).headers["upload-offset"] == "100"
    assert state(town, file_id) == ("partial", None)
    told = town.client.head(where, headers={**TUS, **town.bearer("grid_worker")})
    assert (told.status_code, told.headers["upload-offset"]) == (200, "100")
    assert told.headers["upload-length"] == str(len(data))
    assert "file_id " in told.headers["upload-metadata"]
    assert told.headers["upload-expires"].endswith("GMT")
    assert told.headers["cache-control"] == "no-store"
    assert patch(town, "grid_worker", where, 100, data[100:]).status_code == 204
    settled(town)
    for user in ("grid_worker", "clerk", "grid_leader"):
        found = pulled(town, user, file_id)
        assert found is not None
        assert found["state"] == "verified"
    told = town.client.head(where, headers={**TUS, **town.bearer("grid_worker")})
    assert told.headers["upload-offset"] == told.headers["upload-length"]
    read = town.get("clerk", f"{FILES}/{file_id}")
    assert (read.status_code, read.headers["content-type"]) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(read.content)).size == (640, 480)
    small = town.get("clerk", f"{FILES}/{file_id}/thumbnail")
    assert small.headers["content-type"] == "image/jpeg"
    assert len(small.content) <= 40 * 1024
    looked = [row["action"] for row in rows(town, "audit") if row["action"].startswith("file.")]
    assert looked == ["file.bytes", "file.bytes", "file.checked", "file.look", "file.thumbnail"]


def test_bytes_may_come_before_their_document_and_before_their_case(town: Town) -> None:
    data, file_id, case = files.picture(), new_id(), new_id()
    send(town, "grid_worker", file_id, data)
    assert [row["state"] for row in rows(town, "upload")] == ["complete"]
    assert town.get("grid_worker", f"{FILES}/{file_id}").status_code == 404
    document(town, "grid_worker", case, data, id=file_id)
    settled(town)
    assert state(town, file_id) == ("verified", None)
    assert town.get("grid_worker", f"{FILES}/{file_id}").status_code == 200
    assert town.get("clerk", f"{FILES}/{file_id}").status_code == 404
    town.capture(id=case)
    assert town.get("clerk", f"{FILES}/{file_id}").status_code == 200


def test_a_small_picture_goes_in_the_request_that_creates_its_upload(town: Town) -> None:
    case, data = town.capture(), files.picture()
    file_id = document(town, "grid_worker", case, data)
    metadata = encoded(file_id=file_id, sha256=hashlib.sha256(data).hexdigest())
    headers = {**BODY, "Upload-Length": str(len(data)), "Upload-Metadata": metadata}
    headers |= {"Upload-Checksum": checksum(data), **town.bearer("grid_worker")}
    answer = town.client.post(FILES, headers=headers, content=data)
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, str(len(data)))
    settled(town)
    assert state(town, file_id) == ("verified", None)


def test_a_network_that_lets_only_post_through_loses_nothing(town: Town) -> None:
    case, data = town.capture(), files.picture()
    file_id = document(town, "grid_worker", case, data)
    where = create(town, "grid_worker", file_id, data).headers["location"]
    headers = {**BODY, "Upload-Offset": "0", **town.bearer("grid_worker")}
    by_post = headers | {"X-HTTP-Method-Override": "PATCH"}
    assert town.client.post(where, headers=by_post, content=data).status_code == 204
    asked = town.client.post(where, headers=headers | {"X-HTTP-Method-Override": "HEAD"})
    assert (asked.status_code, asked.headers["upload-offset"]) == (200, str(len(data)))
    assert town.client.post(where, headers=headers | {"X-HTTP-Method-Override": "GET"}).status_code == 400
    settled(town)
    assert state(town, file_id) == ("verified", None)


@pytest.mark.parametrize("sizes", [[1] * 100, list(range(40, 0, -1))], ids=["one byte", "less each time"])
def test_a_line_that_lets_little_through_at_a_time_leaves_few_parts(town: Town, sizes: list[int]) -> None:
    """FI4: each piece was an object of its own, and a word more of the upload's row."""
    data = b"%PDF-1.4 " + b"x" * sum(sizes) + b"%%EOF"
    file_id = document(town, "grid_worker", town.capture(), data, "scan")
    where = create(town, "grid_worker", file_id, data).headers["location"]
    at = 0
    for size in sizes:
        assert patch(town, "grid_worker", where, at, data[at : at + size]).status_code == 204
        at += size
        [row] = rows(town, "upload")
        assert len(on_disk(town)) == len(json.loads(row["parts"])) <= 10
    assert patch(town, "grid_worker", where, at, data[at:]).status_code == 204
    settled(town)
    assert town.get("clerk", f"{FILES}/{file_id}").content == data


@pytest.mark.parametrize("seed", range(3))
def test_however_a_file_is_cut_it_is_the_same_in_few_parts(
    town: Town, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """FI4: pieces large and small, some with a checksum that is right or wrong."""
    print(f"seed {seed}")
    chance, whole = random.Random(seed), 500
    monkeypatch.setattr(tus, "PART", whole)
    data = b"%PDF-1.4 " + chance.randbytes(12_000) + b"%%EOF"
    file_id = document(town, "grid_worker", town.capture(), data, "scan")
    where = create(town, "grid_worker", file_id, data).headers["location"]
    at = 0
    while at < len(data):
        piece = data[at : at + int(chance.paretovariate(0.5))]
        headers = {"Upload-Checksum": checksum(piece)} if chance.random() < 0.5 else {}
        if chance.random() < 0.2:
            wrong = patch(town, "grid_worker", where, at, piece, **{"Upload-Checksum": checksum(b"other")})
            assert wrong.status_code == 460
        at += len(piece)
        assert patch(town, "grid_worker", where, at - len(piece), piece, **headers).status_code == 204
        [row] = rows(town, "upload")
        begins = [begin for begin, _ in json.loads(row["parts"])]
        sizes = [after - begin for begin, after in pairwise([*begins, at])]
        small = [size for size in sizes[:-1] if size < whole]
        assert len(small) <= 9, sizes
    settled(town)
    assert town.get("clerk", f"{FILES}/{file_id}").content == data


def test_a_part_that_was_lost_is_told_at_the_end(town: Town) -> None:
    data = files.picture()
    where = create(town, "grid_worker", new_id(), data).headers["location"]
    patch(town, "grid_worker", where, 0, data[:10])
    [name] = on_disk(town)
    town.runtime.files.store.delete([name])
    assert patch(town, "grid_worker", where, 10, data[10:20]).status_code == 204


def test_a_wrong_offset_is_told_and_changes_nothing(town: Town) -> None:
    data = files.picture()
    where = create(town, "grid_worker", new_id(), data).headers["location"]
    assert patch(town, "grid_worker", where, 0, data[:50]).status_code == 204
    for offset in (0, 49, 51, len(data)):
        answer = patch(town, "grid_worker", where, offset, data[50:60])
        assert (answer.status_code, answer.json()["code"]) == (409, "offset_differs")
    assert patch(town, "grid_worker", where, 50, data[50:]).status_code == 204


def test_a_piece_that_is_not_what_its_checksum_says_is_not_kept(town: Town) -> None:
    data = files.picture()
    where = create(town, "grid_worker", new_id(), data).headers["location"]
    broken = bytes([data[0] ^ 1]) + data[1:50]
    answer = patch(town, "grid_worker", where, 0, broken, **{"Upload-Checksum": checksum(data[:50])})
    assert (answer.status_code, answer.json()["code"]) == (460, "checksum_differs")
    told = town.client.head(where, headers={**TUS, **town.bearer("grid_worker")})
    assert told.headers["upload-offset"] == "0"
    assert not on_disk(town)
    assert patch(town, "grid_worker", where, 0, data, **{"Upload-Checksum": "md5 AAAA"}).status_code == 400
    good = patch(town, "grid_worker", where, 0, data, **{"Upload-Checksum": checksum(data)})
    assert good.status_code == 204


def test_a_whole_that_is_not_what_was_promised_is_let_go_and_asked_for_again(town: Town) -> None:
    case, data = town.capture(), files.picture()
    file_id = document(town, "grid_worker", case, data)
    where = create(town, "grid_worker", file_id, data).headers["location"]
    patch(town, "grid_worker", where, 0, data[:50])
    answer = patch(town, "grid_worker", where, 50, data[50:-1] + b"x")
    assert answer.status_code == 460
    assert town.client.head(where, headers={**TUS, **town.bearer("grid_worker")}).status_code == 404
    assert state(town, file_id) == ("missing", None)
    send(town, "grid_worker", file_id, data)
    assert state(town, file_id) == ("verified", None)


def test_an_upload_that_is_ended_is_gone_and_its_key_with_it(town: Town) -> None:
    case, data = town.capture(), files.picture()
    file_id = document(town, "grid_worker", case, data)
    where = create(town, "grid_worker", file_id, data).headers["location"]
    patch(town, "grid_worker", where, 0, data[:50])
    assert town.client.delete(where, headers={**TUS, **town.bearer("grid_worker")}).status_code == 204
    assert state(town, file_id) == ("missing", None)
    for method in ("HEAD", "PATCH", "DELETE"):
        headers = {**BODY, "Upload-Offset": "50", **town.bearer("grid_worker")}
        assert town.client.request(method, where, headers=headers, content=b"x").status_code == 404
    assert [(row["state"], bytes(row["dek"])) for row in rows(town, "upload")] == [("ended", b"")]


# --- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Length": "x"}, 400),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "0"}, 400),
        ({"Upload-Length": "9" * 40}, 400),
        ({"Upload-Length": str(uploads.LENGTH_MAX + 1)}, 413),
        ({"Upload-Defer-Length": "1"}, 400),
        ({"Upload-Concat": "partial"}, 400),
        ({"Upload-Metadata": ""}, 400),
        ({"Upload-Metadata": "file_id"}, 400),
        ({"Upload-Metadata": "file_id !!!,sha256 !!!"}, 400),
        ({"Upload-Metadata": encoded(file_id="../../etc/passwd", sha256="0" * 64)}, 400),
        ({"Upload-Metadata": encoded(file_id="%2e%2e%2f", sha256="0" * 64)}, 400),
        ({"Upload-Metadata": encoded(file_id=f"{new_id()}\0", sha256="0" * 64)}, 400),
        ({"Upload-Metadata": encoded(file_id=new_id(), sha256="../" + "0" * 61)}, 400),
        ({"Upload-Metadata": encoded(file_id=new_id(), sha256="0" * 64, kind="virus")}, 400),
        ({"Upload-Metadata": encoded(file_id=new_id(), sha256="0" * 64) + "," + "k " * 4000}, 400),
        ({"Upload-Checksum": "sha256 AAAA"}, 400),
    ],
)
def test_what_cannot_be_an_upload_is_told_clearly(town: Town, headers: dict[str, str], status: int) -> None:
    metadata = encoded(file_id=new_id(), sha256="0" * 64)
    told = {
        **TUS,
        "Upload-Length": "10",
        "Upload-Metadata": metadata,
        **headers,
        **town.bearer("grid_worker"),
    }
    answer = town.client.post(FILES, headers=told)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert rows(town, "upload") == []


def test_each_kind_has_its_own_size_and_the_document_knows_its_kind(town: Town) -> None:
    case = town.capture()
    headers = {**TUS, **town.bearer("grid_worker"), "Upload-Length": str(11 << 20)}
    by_kind = {"photo": 413, "scan": 201}
    for kind, status in by_kind.items():
        metadata = encoded(file_id=new_id(), sha256="0" * 64, kind=kind)
        answer = town.client.post(FILES, headers=headers | {"Upload-Metadata": metadata})
        assert answer.status_code == status
        file_id = document(town, "grid_worker", case, None, kind)
        metadata = encoded(file_id=file_id, sha256="0" * 64, kind="scan")
        answer = town.client.post(FILES, headers=headers | {"Upload-Metadata": metadata})
        assert answer.status_code == status


def test_more_than_was_promised_is_cut_off_and_refused(town: Town) -> None:
    data = files.picture()
    where = create(town, "grid_worker", new_id(), data).headers["location"]
    answer = patch(town, "grid_worker", where, 0, data + b"and more")
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_long")
    told = town.client.head(where, headers={**TUS, **town.bearer("grid_worker")})
    assert told.headers["upload-offset"] == str(len(data))


def test_a_device_has_only_so_much_under_way(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    data = files.picture()
    monkeypatch.setattr(uploads, "DEVICE_BYTES_MAX", 2 * len(data))
    first = create(town, "grid_worker", new_id(), data).headers["location"]
    assert create(town, "grid_worker", new_id(), data).status_code == 201
    answer = create(town, "grid_worker", new_id(), data)
    assert (answer.status_code, answer.json()["code"]) == (429, "uploads_unfinished")
    assert create(town, "clerk", new_id(), data).status_code == 201
    town.client.delete(first, headers={**TUS, **town.bearer("grid_worker")})
    assert create(town, "grid_worker", new_id(), data).status_code == 201


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/octet-stream"}, 415),
        ({"Upload-Offset": "x"}, 400),
        ({"Upload-Offset": ""}, 400),
        ({"Upload-Checksum": "crc32 AAAA"}, 400),
    ],
)
def test_a_patch_that_is_none_is_told_clearly(town: Town, headers: dict[str, str], status: int) -> None:
    where = create(town, "grid_worker", new_id(), b"12345").headers["location"]
    assert patch(town, "grid_worker", where, 0, b"1", **headers).status_code == status


# --- whose it is -----------------------------------------------------------------------------------------------------


def test_nobody_finishes_or_sees_the_upload_of_somebody_else(town: Town) -> None:
    case, data = town.capture(), files.picture()
    file_id = document(town, "grid_worker", case, data)
    where = create(town, "grid_worker", file_id, data).headers["location"]
    patch(town, "grid_worker", where, 0, data[:50])
    for user in ("grid_leader", "clerk", "admin"):
        headers = {**BODY, "Upload-Offset": "50", **town.bearer(user)}
        for method in ("HEAD", "PATCH", "DELETE"):
            unknown = town.client.request(
                method, f"{FILES}/uploads/{'0' * 32}", headers=headers, content=b"x"
            )
            other = town.client.request(method, where, headers=headers, content=b"x")
            assert (other.status_code, other.content) == (404, unknown.content)
    # Sent for a file of somebody else they are nobody's: the same answers as for an id that nobody knows.
    forged = files.picture(shade=3)
    unnamed = document(town, "grid_worker", case, None)  # its document names no content
    answers = [create(town, "grid_leader", name, forged) for name in (file_id, unnamed, new_id())]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    for answer in answers:
        assert patch(town, "grid_leader", answer.headers["location"], 0, forged).status_code == 204
    settled(town)
    assert (state(town, file_id), state(town, unnamed)) == (("partial", None), ("missing", None))
    patch(town, "grid_worker", where, 50, data[50:])
    settled(town)
    assert state(town, file_id) == ("verified", None)


def test_what_somebody_else_sends_for_a_file_says_nothing_of_it(town: Town) -> None:
    """FI2: it was still `partial` when its own bytes had been let go, as long as the other upload was open."""
    case, data = town.capture(), files.picture()
    file_id = document(town, "grid_worker", case, data)
    where = create(town, "grid_worker", file_id, data).headers["location"]
    patch(town, "grid_worker", where, 0, data[:10])
    assert create(town, "clerk", file_id, b"zz").status_code == 201
    ended = town.client.delete(where, headers={**TUS, **town.bearer("grid_worker")})
    assert (ended.status_code, state(town, file_id)) == (204, ("missing", None))


def test_an_upload_answers_alike_whether_somebody_else_s_file_is_there_or_not(town: Town) -> None:
    """FI2: no oracle, neither by the id nor by the content."""
    case, data = town.capture(), files.picture()
    file_id = document(town, "grid_worker", case, data)
    send(town, "grid_worker", file_id, data)
    there, nowhere = (create(town, "grid_worker_2", name, data) for name in (file_id, new_id()))
    assert there.status_code == nowhere.status_code == 201
    moving = {"location", "date", "upload-expires"}
    told = [
        {name: value for name, value in answer.headers.items() if name not in moving}
        for answer in (there, nowhere)
    ]
    assert told[0] == told[1]


def test_other_bytes_than_the_document_names_are_refused_to_its_own_writer(town: Town) -> None:
    case, data = town.capture(), files.picture()
    file_id = document(town, "grid_worker", case, data)
    answer = create(town, "grid_worker", file_id, data + b"x")
    assert (answer.status_code, answer.json()["code"]) == (409, "file_differs")
    send(town, "grid_worker", file_id, data)
    answer = create(town, "grid_worker", file_id, data)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_stored")


def test_who_has_lost_his_right_to_the_case_still_finishes_and_reads_nothing(town: Town) -> None:
    case, data = town.capture(), files.picture()
    file_id = document(town, "grid_worker", case, data)
    where = create(town, "grid_worker", file_id, data).headers["location"]
    patch(town, "grid_worker", where, 0, data[:50])
    town.must_act("clerk", case, "set_place", cell=CELLS[3], evidence="到过现场")
    assert pulled(town, "grid_worker", file_id) is None
    assert patch(town, "grid_worker", where, 50, data[50:]).status_code == 204
    settled(town)
    assert state(town, file_id) == ("verified", None)
    unknown = town.get("grid_worker", f"{FILES}/{new_id()}")
    answer = town.get("grid_worker", f"{FILES}/{file_id}")
    assert (answer.status_code, answer.content) == (404, unknown.content)
    assert town.get("grid_worker_2", f"{FILES}/{file_id}").status_code == 200


def test_a_stopped_phone_finishes_what_its_document_names_and_gets_nothing(town: Town) -> None:
    """PU13, FI2: write-only, and only what was named before it was stopped is believed."""
    body = {"username": "grid_worker", "password": PASSWORD, "device": {"id": "lost"}}
    token = town.client.post("/api/v1/sessions", json=body).json()["access_token"]
    lost = {"Authorization": f"Bearer {token}"}
    case, data = town.capture(), files.picture()
    named, unnamed = (document(town, "grid_worker", case, content) for content in (data, None))
    where = create(town, "", named, data, lost).headers["location"]
    assert town.post("grid_worker", "/api/v1/devices/lost/revoke").status_code == 204
    told = {**BODY, "Upload-Offset": "0", **lost}
    done = town.client.patch(where, headers=told, content=data)
    assert (done.status_code, done.headers["wangge-wipe"]) == (204, "true")
    assert town.client.head(where, headers=told).status_code == 200
    other = create(town, "", unnamed, data, lost)
    assert other.status_code == 409
    settled(town)
    assert (state(town, named)[0], state(town, unnamed)[0]) == ("verified", "missing")
    for method, path in (
        ("GET", f"{FILES}/{named}"),
        ("GET", f"{FILES}/{named}/thumbnail"),
        ("DELETE", where),
    ):
        answer = town.client.request(method, path, headers=told)
        assert (answer.status_code, answer.json()["wipe"]) == (401, True)


def test_what_a_stopped_phone_hands_in_waits_until_the_centre_lets_its_document_in(town: Town) -> None:
    body = {"username": "grid_worker", "password": PASSWORD, "device": {"id": "lost"}}
    token = town.client.post("/api/v1/sessions", json=body).json()["access_token"]
    lost = {"Authorization": f"Bearer {token}"}
    case, data, file_id = town.capture(), files.picture(), new_id()
    town.post("grid_worker", "/api/v1/devices/lost/revoke")
    where = create(town, "", file_id, data, lost).headers["location"]
    town.client.patch(where, headers={**BODY, "Upload-Offset": "0", **lost}, content=data)
    doc = {
        "id": file_id,
        "owner_id": case,
        "kind": "photo",
        "sha256": hashlib.sha256(data).hexdigest(),
        "w": "1:x",
    }
    town.client.post("/sync/v1/files/push", headers=lost, json=[{"newDocumentState": doc}])
    for row in rows(town, "upload"):
        late = row["expires_at"] + 1
        town.runtime.files.sweep(town.district, late)
    [kept] = rows(town, "quarantine", doc_id=file_id)
    answer = town.post("clerk", f"/api/v1/quarantine/{kept['id']}/acts", {"act": "apply"})
    assert answer.status_code == 200, answer.text
    settled(town)
    assert state(town, file_id) == ("verified", None)
