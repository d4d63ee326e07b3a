"""A district being served in this process, and people who can sign in to it."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from litestar.testing import TestClient

from server.app import create_app
from server.auth.passwords import Hasher
from server.runtime import Runtime, initialise
from server.settings import Settings
from tests.conftest import ON_POSTGRES
from tests.http.town import DATABASE_URL, Town, build_town, open_town

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from litestar import Litestar

    from server.districts import District
    from sync.commit import Context
    from sync.store import Tx

CODE = "990101"
PASSWORD = "lan tian bai yun"


class Served:
    """An app in this process with one district, and a client for it."""

    def __init__(self, client: TestClient[Litestar], runtime: Runtime) -> None:
        self.client = client
        self.runtime = runtime

    @property
    def district(self) -> District:
        return self.runtime.districts[CODE]

    def add_person(self, username: str, *roles: str, password: str = PASSWORD) -> int:
        """Somebody who can sign in, with roles at the district's own unit; returns the account's key."""
        hashed = Hasher.shared().hash(password)

        def work(tx: Tx, context: Context) -> int:
            units = tx.find("unit", {"code": "D"}, limit=1)
            unit_pk = (
                units[0]["pk"]
                if units
                else tx.add(
                    "unit",
                    {
                        "code": "D",
                        "type": "residents_committee",
                        "name": "区",
                        "area": "990101",
                        "level": 3,
                        "parent": None,
                    },
                )
            )
            pk = tx.add(
                "account",
                {
                    "id": context.chance.uuid7(context.wall),
                    "username": username,
                    "name": username.title(),
                    "password": hashed,
                    "state": "active",
                    "not_before": 0,
                    "failed": 0,
                    "locked_until": 0,
                    "created_at": context.wall,
                },
            )
            for role in roles:
                tx.insert("grant_role", [{"user_pk": pk, "role": role, "unit_pk": unit_pk, "v_from": 0}])
            tx.raise_config()
            return pk

        return self.district.writer.submit_blocking(work)

    def sign_in(self, username: str, password: str = PASSWORD, **body: Any) -> dict[str, Any]:
        """The answer of signing in; the test fails when it is refused."""
        answer = self.client.post(
            "/api/v1/sessions", json={"username": username, "password": password, **body}
        )
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def bearer(self, username: str, password: str = PASSWORD) -> dict[str, str]:
        """Headers of somebody who has just signed in."""
        return {"Authorization": f"Bearer {self.sign_in(username, password)['access_token']}"}


@pytest.fixture(scope="session")
def fresh_installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an installation with one empty district, made once and copied for each test."""
    folder = tmp_path_factory.mktemp("fresh") / "data"
    initialise(Settings(data=str(folder), purpose="test"), CODE, "涧东区")
    return folder


@pytest.fixture
def settings(tmp_path: Path, fresh_installation: Path) -> Settings:
    """Settings of a test installation with one district."""
    shutil.copytree(fresh_installation, tmp_path / "data")
    return Settings(data=str(tmp_path / "data"), purpose="test")


@pytest.fixture
def served(settings: Settings) -> Iterator[Served]:
    """The app of this program over an empty district, without timers."""
    app = create_app(settings, jobs=[])
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Served(client, app.state.runtime)


@pytest.fixture(scope="session")
def built_town(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The folder of the town, made once and copied for whoever changes it."""
    folder = tmp_path_factory.mktemp("built") / "data"
    folder.mkdir()
    with ExitStack() as held:
        url = held.enter_context(request.getfixturevalue("pg_databases")("")) if ON_POSTGRES else ""
        build_town(folder, database_url=url)
        yield folder


def _opened(request: pytest.FixtureRequest, built: Path, folder: Path) -> Iterator[Town]:
    """A copy of the town: on SQLite, or on PostgreSQL with ``WANGGE_STORE=postgresql``."""
    shutil.copytree(built, folder)
    with ExitStack() as held:
        if ON_POSTGRES:
            url = folder / DATABASE_URL
            url.write_text(held.enter_context(request.getfixturevalue("pg_databases")(url.read_text())))
        yield from open_town(folder)


@pytest.fixture
def town(request: pytest.FixtureRequest, tmp_path: Path, built_town: Path) -> Iterator[Town]:
    """A small district with a person for every role, and a clock that can be moved."""
    yield from _opened(request, built_town, tmp_path / "town")


@pytest.fixture(scope="module")
def shared_town(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, built_town: Path
) -> Iterator[Town]:
    """The same for tests that only look."""
    yield from _opened(request, built_town, tmp_path_factory.mktemp("shared") / "town")
