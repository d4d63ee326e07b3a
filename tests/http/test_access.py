"""Every route says who may call it, and keeps to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from litestar import get
from litestar.testing import TestClient

from server.app import create_app
from server.errors import TEXTS, all_codes
from sync.cases.catalogue import ROLES

if TYPE_CHECKING:
    import pytest
    from litestar import Litestar

    from server.settings import Settings
    from tests.http.conftest import Served

KINDS = {"open", "user", "user:late", "stream", "metrics", "command"}
# What the outside contract leaves open; every other route wants a token.
OPEN = re.compile(
    r"^(/|/\{path.*|/health/.*|/schema(/.*)?|/sync/v1/schema/.*|/api/v1/sessions|/api/v1/sessions/refresh|/public/v1/.*"
    r"|/files/v1)$"
)


def routes(app: Litestar) -> list[tuple[str, str, str]]:
    return [
        (method, route.path_format, str(handler.opt.get("access", "")))
        for route in app.routes
        for handler in getattr(route, "route_handlers", [])
        for method in handler.http_methods
        if method != "OPTIONS"
    ]


def test_every_route_declares_its_access(served: Served) -> None:
    undeclared = [
        (method, path)
        for method, path, access in routes(served.client.app)
        if access not in KINDS and not access.startswith("role:")
    ]
    assert undeclared == []


def test_only_what_the_contract_names_is_open(served: Served) -> None:
    opened = [
        path for _, path, access in routes(served.client.app) if access == "open" and not OPEN.match(path)
    ]
    # the demo's own routes answer on demo districts only, and are looked at by their own tests
    assert [path for path in opened if not path.startswith("/api/v1/demo")] == []


def test_routes_name_roles_that_exist(served: Served) -> None:
    for _, path, access in routes(served.client.app):
        if access.startswith("role:"):
            assert set(access.removeprefix("role:").split(",")) <= set(ROLES), path


def test_nobody_gets_past_a_closed_door_without_a_token(served: Served) -> None:
    for method, path, access in routes(served.client.app):
        if access in {"open", "metrics"}:
            continue
        concrete = re.sub(r"\{[^}]*\}", "7", path)
        answer = served.client.request(method, concrete, json={})
        assert answer.status_code == 401, (method, path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_route_that_declares_nothing_is_closed(settings: Settings) -> None:
    @get("/forgotten", sync_to_thread=False)
    def forgotten() -> str:
        return "secret"

    with TestClient(create_app(settings, handlers=[forgotten], jobs=[])) as client:
        answer = client.get("/forgotten")
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_a_route_for_a_role_answers_whoever_has_it_and_nobody_else(settings: Settings) -> None:
    from server.routes.sessions import sign_in
    from tests.http.conftest import Served

    @get("/directors", opt={"access": "role:centre_director,admin"}, sync_to_thread=False)
    def directors() -> str:
        return "ok"

    app = create_app(settings, handlers=[directors, sign_in], jobs=[])
    with TestClient(app) as client:
        served = Served(client, app.state.runtime)
        served.add_person("wang", "grid_worker")
        served.add_person("li", "centre_director")
        assert client.get("/directors").status_code == 401
        assert client.get("/directors", headers=served.bearer("wang")).json()["code"] == "forbidden"
        assert client.get("/directors", headers=served.bearer("li")).text == "ok"


def test_an_unexpected_error_tells_nothing_of_itself(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    @get("/broken", opt={"access": "open"}, sync_to_thread=False)
    def broken() -> None:
        raise ValueError("身份证 110101199001011234")

    with TestClient(
        create_app(settings, handlers=[broken], jobs=[]), raise_server_exceptions=False
    ) as client:
        answer = client.get("/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "110101" not in answer.text
    assert "110101" not in caplog.text
    [record] = caplog.records
    assert vars(record)["fields"]["kind"] == "ValueError"


def test_the_document_lists_every_route(served: Served) -> None:
    listed = served.client.get("/schema/openapi.json").json()["paths"]
    for method, path, _ in routes(served.client.app):
        if path.startswith(("/schema", "/{path")) or path == "/":
            continue
        plain = re.sub(r":[a-z_]+\}", "}", path)
        assert method.lower() in listed[plain], path


def test_every_code_has_a_sentence_in_both_languages(served: Served) -> None:
    codes = all_codes()
    assert set(TEXTS) <= set(codes)
    for name, text in codes.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert text.zh
        assert text.en
        assert 400 <= text.status < 600
