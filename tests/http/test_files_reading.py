"""Reading the bytes of files: who may, and how they are delivered (FI10)."""

from __future__ import annotations

import pytest

from tests import files
from tests.http.town import Town, new_id
from tests.http.tus import (
    FILES,
    TUS,
    document,
    verified,
)

# --- who reads it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "readers", "others"),
    [
        (
            "photo",
            ("grid_worker", "clerk", "grid_leader", "street_leader"),
            ("clerk_2", "grid_worker_2", "admin", "auditor"),
        ),
        ("voice", ("grid_worker", "clerk"), ("street_leader", "grid_worker_2", "admin")),
        ("scan", ("grid_worker", "clerk"), ("street_leader", "clerk_2", "admin")),
        ("roster", ("grid_worker",), ("clerk", "grid_leader", "street_leader", "grid_worker_2")),
    ],
)
def test_bytes_are_read_by_whoever_sees_their_document_and_by_nobody_else(
    town: Town, kind: str, readers: tuple[str, ...], others: tuple[str, ...]
) -> None:
    data = files.ogg(3) if kind == "voice" else b"%PDF-1.4\n%%EOF" if kind == "roster" else files.picture()
    file_id = verified(town, town.capture(), kind, data)
    for user in readers:
        assert town.get(user, f"{FILES}/{file_id}").status_code == 200, user
    for user in others:
        for path in ("", "/thumbnail"):
            unknown = town.get(user, f"{FILES}/{new_id()}{path}")
            answer = town.get(user, f"{FILES}/{file_id}{path}")
            assert (answer.status_code, answer.content) == (404, unknown.content), user
            assert dict(answer.headers) | {"date": ""} == dict(unknown.headers) | {"date": ""}


def test_a_case_that_is_sealed_later_takes_its_photos_along(town: Town) -> None:
    case = town.capture()
    file_id = verified(town, case)
    assert town.get("grid_leader", f"{FILES}/{file_id}").status_code == 200
    master = town.get("grid_worker", f"/api/v1/cases/{case}").json()["case"]
    edit = {
        "newDocumentState": {
            "id": case,
            "kind": "dispute",
            "protection": "sealed",
            "captured_at": master["captured_at"],
        }
    }
    town.post("grid_worker", "/sync/v1/cases/push", [edit])
    assert town.get("grid_leader", f"{FILES}/{file_id}").status_code == 404


def test_bytes_are_delivered_so_that_no_browser_runs_them(town: Town) -> None:
    file_id = verified(town, town.capture(), "scan", b"%PDF-1.7\n<script>alert(1)</script>\n%%EOF")
    answer = town.get("clerk", f"{FILES}/{file_id}")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == f'attachment; filename="{file_id}.pdf"'
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "no-store" in answer.headers["cache-control"]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e%2f%2e%2e%2fdirectory.db", "x" * 500, "a%00b", "\u2215etc", "urn:uuid:x"]
)
def test_a_name_that_climbs_finds_nothing(town: Town, name: str) -> None:
    for path in (f"{FILES}/{name}", f"{FILES}/{name}/thumbnail"):
        assert town.get("clerk", path).status_code in {400, 404, 405}
    headers = {**TUS, **town.bearer("grid_worker")}
    assert town.client.head(f"{FILES}/uploads/{name}", headers=headers).status_code in {400, 404, 405}


def test_what_is_not_here_yet_is_told_only_to_who_may_know_of_it(town: Town) -> None:
    file_id = document(town, "grid_worker", town.capture(), files.picture())
    assert town.get("clerk", f"{FILES}/{file_id}").json()["code"] == "file_not_here"
    assert town.get("clerk_2", f"{FILES}/{file_id}").json()["code"] == "not_found"
