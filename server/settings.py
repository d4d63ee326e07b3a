"""Settings of one installation, read once: ``WANGGE_*`` variables over a TOML file over the defaults.

``refusals`` is the list of reasons not to start; ``wangge serve`` prints them and exits 2.
"""

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Struct

from sync.sql_store import SQLITE_MINIMUM, sqlite_version

PREFIX = "WANGGE_"
_HOUR_S = 3600
Purpose = Literal["serve", "demo", "test"]
Kind = Literal["real", "demo", "test"]  # of a district
_LISTS = frozenset({"trusted_proxies", "allowed_hosts", "cors_origins"})
_NUMBERS = frozenset({"device_requests", "device_rows", "device_bytes", "first_plans"})
_FLAGS = frozenset({"debug", "behind_tls_proxy"})
_DEFAULT_SECRETS = frozenset(
    {"changeme", "secret", "password", "default", "metrics", "token", "test", "wangge"}
)
_SECRET_LENGTH = 16  # characters of a metrics token
_POSTGRES = ("postgresql://", "postgres://", "postgresql+psycopg://")


class BadSettings(Exception):
    """A setting cannot be read."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an installation can choose. Paths may be relative to the working folder."""

    data: str = "data"
    database_url: str = ""  # "" is SQLite in `data`
    files_url: str = ""  # "" is the folder `files` in `data`
    host: str = "127.0.0.1"
    port: int = 8000
    allowed_hosts: tuple[str, ...] = ()  # names the server answers to; empty: loopback names only
    trusted_proxies: tuple[str, ...] = ()  # addresses or networks whose X-Forwarded-For is believed
    behind_tls_proxy: bool = False
    cors_origins: tuple[str, ...] = ()
    metrics_token: str = ""
    clock_file: str = ""
    poke_window_s: int = 60  # phones hear of a mass re-assignment at instants drawn over so many seconds
    device_requests: int = 6_000  # of sync, a minute and device; 0: no bound
    device_rows: int = 120_000  # pushed and pulled, a minute and device; 0: no bound
    device_bytes: int = 512 * 1024 * 1024  # the same in bytes before compression; 0: no bound
    first_plans: int = 32  # phones at once that get everything, or nearly; 0: no bound
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    debug: bool = False
    purpose: Purpose = "serve"  # set by the command, never from outside

    @property
    def folder(self) -> Path:
        """Where keys, files and, on SQLite, the databases are."""
        return Path(self.data)

    @property
    def keys_folder(self) -> Path:
        """Where the secret files are."""
        return self.folder / "keys"

    @property
    def postgres(self) -> bool:
        """Whether the database is PostgreSQL."""
        return self.database_url.startswith(_POSTGRES)

    @property
    def libpq_url(self) -> str:
        """The address of the PostgreSQL as its own library reads it."""
        return self.database_url.replace("postgresql+psycopg://", "postgresql://")

    @property
    def sqlite_folder(self) -> Path:
        """The folder of ``directory.db`` and ``districts/``."""
        if not self.database_url:
            return self.folder
        return Path(self.database_url.removeprefix("sqlite:///") or ".")

    @property
    def files(self) -> str:
        """Where uploads are kept, as a URL."""
        return self.files_url or (self.folder / "files").absolute().as_uri()

    @property
    def files_folder(self) -> Path | None:
        """The folder where uploads are kept, None where they are in a bucket."""
        url = urlsplit(self.files)
        return Path(unquote(url.path)) if url.scheme == "file" else None

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


@lru_cache(256)
def is_loopback(host: str) -> bool:
    """True for ``localhost`` and addresses that never leave the machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def load_settings(environ: Mapping[str, str], **overrides: Any) -> Settings:
    """Settings from `environ` and the file it names in ``WANGGE_CONFIG``; `overrides` that are None do not count.

    Raises ``BadSettings`` with a sentence that names the setting.
    """
    values: dict[str, Any] = {}
    if named := environ.get(f"{PREFIX}CONFIG"):
        try:
            values.update(tomllib.loads(Path(named).read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise BadSettings(f"The settings file {named} cannot be read: {error}") from error
    if "purpose" in values:
        raise BadSettings("`purpose` is not a setting: the command decides it.")
    for name in Settings.__struct_fields__:
        raw = environ.get(PREFIX + name.upper())
        if raw is None or name == "purpose":
            continue
        values[name] = _from_text(name, raw)
    values.update({name: value for name, value in overrides.items() if value is not None})
    try:
        return msgspec.convert(values, Settings)
    except msgspec.ValidationError as error:
        raise BadSettings(f"Settings: {error}") from error


def _from_text(name: str, raw: str) -> Any:
    if name in _LISTS:
        return [part.strip() for part in raw.split(",") if part.strip()]
    if name in _FLAGS:
        lowered = raw.strip().lower()
        if lowered not in {"1", "0", "true", "false", "yes", "no", "on", "off"}:
            raise BadSettings(f"{PREFIX}{name.upper()} must be true or false, not {raw!r}.")
        return lowered in {"1", "true", "yes", "on"}
    if name in _NUMBERS:
        if not re.fullmatch(r"\d{1,12}", raw.strip()):
            raise BadSettings(f"{PREFIX}{name.upper()} must be a whole number, 0 for no bound.")
        return int(raw)
    if name == "port":
        if not re.fullmatch(r"\d{1,5}", raw.strip()):
            raise BadSettings(f"{PREFIX}PORT must be a number, not {raw!r}.")
        return int(raw)
    return raw


def refusals(settings: Settings, districts: Mapping[str, Kind] | None = None) -> list[str]:
    """Reasons not to start with these settings, each a sentence that says what to change; empty when fit.

    `districts` are those in force, by code; None before the database was looked at.
    """
    return [
        *_network_refusals(settings),
        *_database_refusals(settings),
        *_files_refusals(settings),
        *_secret_refusals(settings),
        *_mode_refusals(settings),
        *_purpose_refusals(settings),
        *([] if districts is None else _district_refusals(settings, districts)),
    ]


def _network_refusals(settings: Settings) -> list[str]:
    found = []
    if settings.debug:
        found.append("WANGGE_DEBUG is on: error pages would show the inside of the program. Turn it off.")
    if not 0 <= settings.port <= 65535:
        found.append(f"WANGGE_PORT {settings.port} is no port.")
    if not 0 <= settings.poke_window_s <= _HOUR_S:
        found.append("WANGGE_POKE_WINDOW_S must be a number of seconds, at most an hour.")
    found += [
        f"{PREFIX}{name.upper()} must not be negative."
        for name in sorted(_NUMBERS)
        if getattr(settings, name) < 0
    ]
    if any("*" in host for host in settings.allowed_hosts):
        found.append("WANGGE_ALLOWED_HOSTS holds a wildcard: name the hosts the server answers to.")
    if any("*" in origin for origin in settings.cors_origins):
        found.append("WANGGE_CORS_ORIGINS holds a wildcard: name the origins that may call the server.")
    if any(origin.startswith("http://") and not _loopback_origin(origin) for origin in settings.cors_origins):
        found.append("WANGGE_CORS_ORIGINS names an origin without TLS: use https.")
    for proxy in settings.trusted_proxies:
        try:
            network = ipaddress.ip_network(proxy, strict=False)
        except ValueError:
            found.append(f"WANGGE_TRUSTED_PROXIES: {proxy!r} is no address or network.")
            continue
        if network.prefixlen == 0:
            found.append("WANGGE_TRUSTED_PROXIES trusts every address: name your proxies.")
    if not settings.loopback:
        if not settings.allowed_hosts:
            found.append(
                f"WANGGE_HOST {settings.host} can be reached from outside, and WANGGE_ALLOWED_HOSTS is empty: "
                "name the hosts the server answers to."
            )
        if not settings.behind_tls_proxy:
            found.append(
                f"WANGGE_HOST {settings.host} can be reached from outside without TLS: put a proxy with TLS in "
                "front and say so with WANGGE_BEHIND_TLS_PROXY=true, or listen on 127.0.0.1."
            )
    return found


def _loopback_origin(origin: str) -> bool:
    return is_loopback(origin.removeprefix("http://").rsplit(":", 1)[0])


def _database_refusals(settings: Settings) -> list[str]:
    if settings.postgres:
        return []
    if settings.database_url and not settings.database_url.startswith("sqlite:///"):
        return ["WANGGE_DATABASE_URL must be sqlite:///folder/ or postgresql://…."]
    if sqlite_version() < SQLITE_MINIMUM:
        version, needed = (".".join(map(str, parts)) for parts in (sqlite_version(), SQLITE_MINIMUM))
        return [
            f"SQLite {version} can damage a database in WAL mode: install {needed} or newer, or use PostgreSQL."
        ]
    return []


def _files_refusals(settings: Settings) -> list[str]:
    url = urlsplit(settings.files)
    if url.scheme == "file" and not url.netloc and url.path.startswith("/"):
        return []
    if url.scheme == "s3" and len(url.netloc) > 2:
        return []
    return ["WANGGE_FILES_URL must be file:///folder or s3://bucket/prefix."]


def _secret_refusals(settings: Settings) -> list[str]:
    found = []
    token = settings.metrics_token
    if token and (len(token) < _SECRET_LENGTH or token.lower() in _DEFAULT_SECRETS or len(set(token)) < 6):
        found.append(
            f"WANGGE_METRICS_TOKEN is too easy to guess: use {_SECRET_LENGTH} random characters or more."
        )
    folder = settings.keys_folder
    if folder.is_dir():
        for path in sorted(folder.glob("*.key")):
            found += _key_file_refusals(path)
    return found


def _key_file_refusals(path: Path) -> list[str]:
    found = []
    if path.stat().st_mode & 0o077:
        found.append(f"The key file {path} can be read by other users: chmod 600 {path}.")
    text = path.read_text(encoding="ascii", errors="replace").strip()
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        found.append(
            f"The key file {path} does not hold a key of 32 bytes in hexadecimal: restore it from its copy."
        )
    elif len(set(bytes.fromhex(text))) < 8:
        found.append(f"The key in {path} is not random: it must be one that `wangge init` made.")
    return found


def _mode_refusals(settings: Settings) -> list[str]:
    """What other users of the machine could read or change."""
    found = []
    keys = settings.keys_folder
    if keys.is_dir() and keys.stat().st_mode & 0o077:
        found.append(f"The folder {keys} is open to other users: chmod 700 {keys}.")
    folders, files = [settings.folder], list[Path]()
    if settings.files_folder is not None:
        folders.append(settings.files_folder)
    if not settings.postgres:
        databases = settings.sqlite_folder
        folders += [databases, databases / "districts"]
        files = [*databases.glob("directory.db*"), *databases.glob("districts/*.db*")]
    found += [
        f"The folder {folder} can be changed by other users: chmod go-w {folder}."
        for folder in dict.fromkeys(folders)
        if folder.is_dir() and folder.stat().st_mode & 0o022
    ]
    found += [
        f"The database {path} is open to other users: chmod 600 {path}."
        for path in sorted(files)
        if path.stat().st_mode & 0o077
    ]
    return found


def _purpose_refusals(settings: Settings) -> list[str]:
    if settings.purpose == "demo" and not settings.loopback:
        return ["A demo district signs in with one click: it is served on loopback only."]
    return []


def _district_refusals(settings: Settings, districts: Mapping[str, Kind]) -> list[str]:
    if settings.purpose != "serve":
        return []
    if not districts:
        return ["There is no district in force here: make one with `wangge init`."]
    found = []
    if settings.clock_file and set(districts.values()) != {"test"}:
        found.append("WANGGE_CLOCK_FILE shifts the clock; only a demo or test district may be run so.")
    for code, kind in districts.items():
        if kind == "demo":
            found.append(
                f"District {code} is a demo district with known passwords: run it with `wangge demo`."
            )
        elif kind == "test" and not settings.loopback:
            found.append(
                f"District {code} is for tests: it is served on this machine only (WANGGE_HOST=127.0.0.1)."
            )
    return found
