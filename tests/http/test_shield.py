"""What every answer carries and every request passes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from litestar.testing import TestClient

from server import shield
from server.app import create_app
from server.auth import guards
from server.settings import Settings
from server.shield import host_is_allowed

if TYPE_CHECKING:
    from tests.http.conftest import Served


def test_every_answer_protects_the_browser(served: Served) -> None:
    for path in ("/health/live", "/nowhere", "/api/v1/sessions/current", "/m/", "/sync/v1/stream"):
        headers = served.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe-eval" not in headers["content-security-policy"]
        assert "set-cookie" not in headers


def test_what_is_not_a_page_is_never_kept_by_a_cache(served: Served) -> None:
    for path in ("/health/live", "/nowhere", "/api/v1/sessions/current", "/schema/openapi.json"):
        assert served.client.get(path).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("hosts", "allowed"),
    [
        (["grid.example.org"], True),
        (["GRID.example.org:443"], True),
        (["127.0.0.1:8000"], True),
        (["[::1]:8000"], True),
        (["localhost"], True),
        (["gridXexample.org"], False),
        (["grid.example.org.evil.example"], False),
        (["evil.example"], False),
        (["grid.example.org", "evil.example"], False),
        ([""], False),
        ([], False),
        (["testserver"], False),
        (["127.0.0.1.evil.example"], False),
    ],
)
def test_the_server_answers_to_its_own_names_only(hosts: list[str], allowed: bool) -> None:
    settings = Settings(allowed_hosts=("grid.example.org",))
    assert host_is_allowed(settings, hosts) is allowed


def test_a_request_under_another_name_is_refused_also_when_a_header_says_otherwise(served: Served) -> None:
    for headers in ({"Host": "evil.example"}, {"Host": "evil.example", "X-Forwarded-Host": "localhost"}):
        answer = served.client.get("/health/live", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "host_refused")


def test_an_address_with_a_nul_is_refused_before_any_database_is_asked(served: Served) -> None:
    paths = {
        "/api/v1/cases?q=%00": "GET",
        "/api/v1/quarantine/a%00/acts": "POST",
        "/api/v1/escalations/a%00/acts": "POST",
        "/files/v1/uploads/a%00": "HEAD",
    }
    for path, method in paths.items():
        answer = served.client.request(method, path)
        assert answer.status_code == 400, path
        assert method == "HEAD" or answer.json()["code"] == "address_refused"


class FakeConnection:
    """As much of a connection as the address needs."""

    def __init__(self, client: str, forwarded: str | None, trusted: tuple[str, ...]) -> None:
        from types import SimpleNamespace

        runtime = SimpleNamespace(settings=Settings(trusted_proxies=trusted))
        self.client = SimpleNamespace(host=client)
        self.headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
        self.app = SimpleNamespace(state=SimpleNamespace(runtime=runtime))


@pytest.mark.parametrize(
    ("client", "forwarded", "trusted", "address"),
    [
        ("203.0.113.9", "10.1.1.1", (), "203.0.113.9"),
        ("203.0.113.9", "10.1.1.1", ("10.0.0.0/8",), "203.0.113.9"),
        ("10.0.0.1", "198.51.100.7", ("10.0.0.0/8",), "198.51.100.7"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.7", ("10.0.0.0/8",), "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7, 10.0.0.2", ("10.0.0.0/8",), "198.51.100.7"),
        ("10.0.0.1", "nonsense", ("10.0.0.0/8",), "10.0.0.1"),
        ("10.0.0.1", None, ("10.0.0.0/8",), "10.0.0.1"),
    ],
)
def test_the_address_of_a_phone_is_what_a_trusted_proxy_says_and_nobody_else(
    client: str, forwarded: str | None, trusted: tuple[str, ...], address: str
) -> None:
    assert guards.address_of(FakeConnection(client, forwarded, trusted)) == address  # type: ignore[arg-type]


def test_claiming_other_addresses_does_not_get_more_tries(served: Served) -> None:
    served.client.app.state.address_limit._per_minute = 3
    codes = [
        served.client.post(
            "/api/v1/sessions",
            json={"username": f"n{number}", "password": "wrong wrong"},
            headers={"X-Forwarded-For": f"198.51.100.{number}"},
        ).json()["code"]
        for number in range(5)
    ]
    assert codes == ["credentials_refused"] * 3 + ["too_many_requests"] * 2


def test_figures_are_for_this_machine_and_not_through_a_proxy(served: Served) -> None:
    served.client.get("/health/live")
    text = served.client.get("/metrics").text
    assert 'wangge_requests_total{method="GET",route="/health/live",status="200"} 1' in text
    assert f'wangge_district_head{{district="990101"}} {served.district.head.seq}' in text
    assert served.client.get("/metrics", headers={"X-Forwarded-For": "1.2.3.4"}).status_code == 401


def test_figures_want_the_token_where_one_is_set(settings: Settings) -> None:
    import msgspec

    guarded = msgspec.structs.replace(settings, metrics_token="q8s7df6g5h4j3k2l")
    with TestClient(create_app(guarded, jobs=[])) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"Authorization": "Bearer q8s7df6g5h4j3k2m"}).status_code == 401
        assert client.get("/metrics", headers={"Authorization": "Bearer q8s7df6g5h4j3k2l"}).status_code == 200


def test_a_log_line_holds_no_path_no_query_and_no_token(
    served: Served, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a logger of this test's own: libraries of earlier tests switch existing ones off
    log = logging.Logger("wangge.requests", logging.INFO)  # noqa: LOG001  # not one of the process
    log.addHandler(caplog.handler)
    caplog.set_level("INFO")
    monkeypatch.setattr(shield, "_log", log)
    served.add_person("wang", "grid_worker")
    headers = served.bearer("wang")
    served.client.get("/api/v1/devices?name=李某某", headers=headers)
    served.client.post("/api/v1/devices/0198-secret/revoke", headers=headers)
    lines = " ".join(str(vars(record)) for record in caplog.records if record.name == "wangge.requests")
    assert "/api/v1/devices/{device_id}/revoke" in lines or "/revoke" in lines
    for word in ("李某某", "0198-secret", headers["Authorization"][-20:], "wang"):
        assert word not in lines.replace("wangge", "")


def test_the_server_is_ready_when_its_databases_are(served: Served) -> None:
    assert served.client.get("/health/ready").status_code == 200
    served.runtime.hub.close()
    answer = served.client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
