"""Settings come from the environment and a file; an unsafe set is refused with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server import settings as module
from server.keys import create_key_file
from server.settings import BadSettings, Kind, Settings, load_settings, refusals

if TYPE_CHECKING:
    from pathlib import Path


def test_the_environment_wins_over_the_file_and_the_command_over_both(tmp_path: Path) -> None:
    file = tmp_path / "wangge.toml"
    file.write_text('port = 1\nhost = "file"\nlog_level = "error"\nallowed_hosts = ["a.example"]\n')
    environ = {"WANGGE_CONFIG": str(file), "WANGGE_PORT": "2", "WANGGE_HOST": "env", "WANGGE_SEEDS": "9"}
    found = load_settings(environ, port=3, host=None)
    assert (found.port, found.host, found.log_level) == (3, "env", "error")
    assert found.allowed_hosts == ("a.example",)


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        ({"WANGGE_PORT": "http"}, "WANGGE_PORT"),
        ({"WANGGE_DEBUG": "perhaps"}, "WANGGE_DEBUG"),
        ({"WANGGE_LOG_LEVEL": "loud"}, "log_level"),
        ({"WANGGE_CONFIG": "/nowhere/wangge.toml"}, "nowhere"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named(environ: dict[str, str], word: str) -> None:
    with pytest.raises(BadSettings, match=word):
        load_settings(environ)


@pytest.mark.parametrize("text", ["prot = 1", 'purpose = "demo"', "port = 'x'", "port ="])
def test_a_settings_file_with_anything_unknown_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "wangge.toml"
    file.write_text(text)
    with pytest.raises(BadSettings):
        load_settings({"WANGGE_CONFIG": str(file)})


EVERYWHERE = "0.0.0.0"  # noqa: S104  # refused, which is what is tested
UNSAFE: dict[str, dict[str, Any]] = {
    "debug": {"debug": True},
    "any host": {"allowed_hosts": ("*",)},
    "any subdomain": {"allowed_hosts": ("*.example.org",)},
    "any origin": {"cors_origins": ("*",)},
    "an origin without TLS": {"cors_origins": ("http://example.org",)},
    "open to the world without names": {"host": EVERYWHERE, "behind_tls_proxy": True},
    "open to the world without TLS": {"host": EVERYWHERE, "allowed_hosts": ("a.example",)},
    "open on IPv6": {"host": "::"},
    "any proxy": {"trusted_proxies": ("0.0.0.0/0",)},
    "a proxy that is no address": {"trusted_proxies": ("proxy",)},
    "files beside the working folder": {"files_url": "file://files"},
    "files in no bucket": {"files_url": "s3:///"},
    "files somewhere else": {"files_url": "https://example.org/files"},
    "a short metrics token": {"metrics_token": "abc"},
    "a default metrics token": {"metrics_token": "changeme"},
    "a metrics token of one letter": {"metrics_token": "a" * 40},
    "an unknown database": {"database_url": "mysql://x"},
    "a port that is none": {"port": 70_000},
    "a demo for everybody": {"purpose": "demo", "host": EVERYWHERE},
}


@pytest.mark.parametrize("name", UNSAFE)
def test_an_unsafe_configuration_is_refused(name: str, tmp_path: Path) -> None:
    assert refusals(Settings(data=str(tmp_path), **UNSAFE[name]))


def test_a_safe_configuration_is_not(tmp_path: Path) -> None:
    create_key_file(tmp_path / "keys" / "token.key")
    cases: list[dict[str, Any]] = [
        {},
        {
            "host": EVERYWHERE,
            "allowed_hosts": ("grid.example.org",),
            "behind_tls_proxy": True,
            "trusted_proxies": ("10.0.0.0/8",),
            "metrics_token": "q8s7df6g5h4j3k2l",
            "cors_origins": ("https://grid.example.org",),
            "files_url": "s3://grid-files/district",
        },
        {"files_url": (tmp_path / "files").as_uri()},
    ]
    for values in cases:
        assert refusals(Settings(data=str(tmp_path), **values)) == []


def test_a_demo_district_is_not_served_for_real_use(tmp_path: Path) -> None:
    assert "990101" in refusals(Settings(data=str(tmp_path)), {"990101": "demo"})[0]
    assert refusals(Settings(data=str(tmp_path), purpose="demo", clock_file="c"), {"990101": "demo"}) == []


BEHIND_A_PROXY: dict[str, Any] = {
    "host": EVERYWHERE,
    "allowed_hosts": ("a.example",),
    "behind_tls_proxy": True,
}


@pytest.mark.parametrize(
    ("districts", "values", "word"),
    [
        ({"990101": "real"}, {"clock_file": "c"}, "clock"),
        ({"990101": "test", "990102": "real"}, {"clock_file": "c"}, "clock"),
        ({"990101": "test"}, BEHIND_A_PROXY, "for tests"),
        ({}, {}, "wangge init"),
    ],
)
def test_a_clock_is_shifted_for_test_districts_alone_and_on_this_machine_alone(
    tmp_path: Path, districts: dict[str, Kind], values: dict[str, Any], word: str
) -> None:
    [reason] = refusals(Settings(data=str(tmp_path), **values), districts)
    assert word in reason


def test_a_test_district_is_served_on_this_machine_with_its_clock(tmp_path: Path) -> None:
    assert refusals(Settings(data=str(tmp_path), clock_file="c"), {"990101": "test"}) == []
    assert refusals(Settings(data=str(tmp_path)), {"990101": "test", "990102": "real"}) == []


@pytest.mark.parametrize(
    ("content", "mode", "word"),
    [
        ("ab" * 32, 0o644, "chmod 600"),
        ("ab" * 32, 0o600, "not random"),
        ("00" * 32, 0o600, "not random"),
        ("abcd", 0o600, "32 bytes"),
        ("", 0o600, "32 bytes"),
    ],
)
def test_a_key_file_that_is_open_weak_or_broken_is_refused(
    tmp_path: Path, content: str, mode: int, word: str
) -> None:
    path = tmp_path / "keys" / "990101.key"
    path.parent.mkdir()
    path.write_text(content)
    path.chmod(mode)
    assert any(word in reason for reason in refusals(Settings(data=str(tmp_path))))


@pytest.mark.parametrize(
    ("name", "mode", "word"),
    [
        ("", 0o777, "chmod go-w"),
        ("", 0o720, "chmod go-w"),
        ("keys", 0o777, "chmod 700"),
        ("keys", 0o710, "chmod 700"),
        ("districts", 0o777, "chmod go-w"),
        ("directory.db", 0o666, "chmod 600"),
        ("districts/990101.db", 0o640, "chmod 600"),
        ("districts/990101.db-wal", 0o604, "chmod 600"),
    ],
)
def test_what_other_users_could_read_or_change_is_refused_with_the_command_that_mends_it(
    tmp_path: Path, name: str, mode: int, word: str
) -> None:
    settings = Settings(data=str(tmp_path))
    create_key_file(tmp_path / "keys" / "token.key")
    (tmp_path / "districts").mkdir()
    for file in ("directory.db", "districts/990101.db", "districts/990101.db-wal"):
        (tmp_path / file).touch(0o600)
    assert refusals(settings) == []
    (tmp_path / name).chmod(mode)
    [reason] = refusals(settings)
    assert f"{word} {tmp_path / name}" in reason


def test_a_sqlite_that_can_damage_its_log_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "sqlite_version", lambda: (3, 40, 1))
    assert "3.40.1" in refusals(Settings(data=str(tmp_path)))[0]
    assert refusals(Settings(data=str(tmp_path), database_url="postgresql://x")) == []
