"""The built pages as they are sent."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from server.routes.pages import find_page, read_pages

if TYPE_CHECKING:
    from pathlib import Path

    from tests.http.conftest import Served

INDEX = "<!doctype html>" + "<p>网格</p>" * 200


@pytest.fixture
def dist(served: Served, tmp_path: Path) -> Served:
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "assets" / "index-Ab12Cd34.js").write_text("let a;")
    (folder / "assets" / "index-Ab12Cd34.js.map").write_text("{}")
    (folder / "sw.js").write_text("self;")
    (folder / "logo.svg").write_text("<svg/>")
    (folder / "link.txt").symlink_to("/etc/passwd")
    served.client.app.state.pages = read_pages(folder)
    return served


def test_an_address_inside_an_application_gets_its_page(dist: Served) -> None:
    for path in ("/", "/m/", "/m/cases/7", "/console/", "/console/cases", "/board/"):
        answer = dist.client.get(path)
        assert (answer.status_code, answer.text) == (200, INDEX), path
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/m/missing.js",
        "/link.txt",
        "/assets/index-Ab12Cd34.js.map",
        "/%2e%2e/etc/passwd",
        "/..%5cx",
    ],
)
def test_what_was_not_built_is_not_found(dist: Served, path: str) -> None:
    answer = dist.client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_an_address_with_a_nul_is_none_of_ours(dist: Served) -> None:
    answer = dist.client.get("/m/%00")
    assert (answer.status_code, answer.json()["code"]) == (400, "address_refused")


def test_a_file_whose_name_carries_a_hash_is_kept_for_ever(dist: Served) -> None:
    answer = dist.client.get("/assets/index-Ab12Cd34.js")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")
    assert dist.client.get("/sw.js").headers["cache-control"] == "no-cache"


def test_a_page_that_did_not_change_is_not_sent_again(dist: Served) -> None:
    first = dist.client.get("/m/")
    again = dist.client.get("/m/", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_page_is_packed_once_for_those_who_can_unpack(dist: Served) -> None:
    packed = dist.client.get("/m/", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(INDEX) / 2
    plain = dist.client.get("/m/", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == packed.text == INDEX
    found = find_page(dist.client.app.state.pages, "/m/")
    assert found is not None
    assert gzip.decompress(found.packed).decode() == INDEX


def test_pages_that_were_not_built_say_so(served: Served) -> None:
    served.client.app.state.pages = {}
    assert "make setup" in served.client.get("/m/").text
    assert served.client.get("/x.js").status_code == 404
