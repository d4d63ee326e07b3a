"""Unmodified RxDB clients in Node, and a district served over real HTTP for them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.http.served import ServedTown
from tests.http.town import PASSWORD, build_town
from tests.rxdb.phone import RxdbError, RxdbPhone

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def phone() -> Iterator[RxdbPhone]:
    with RxdbPhone() as driven:
        yield driven


class Served(ServedTown):
    """A town behind a socket, and phones in Node signed in to it."""

    def __init__(self, folder: Path, library: Path) -> None:
        self.library = library
        self.phones: list[RxdbPhone] = []
        super().__init__(folder)

    def whole_phone(self, user: str, *collections: str, **options: Any) -> RxdbPhone:
        """A new phone of somebody that runs the client library; `pages` is what becomes of pages on their way."""
        driven = RxdbPhone("phone.mjs", WANGGE_SYNC=(self.library / "index.js").as_uri())
        self.phones.append(driven)
        login = {name: options.pop(name) for name in ("schema", "device") if name in options}
        driven("login", base=self.base, username=user, password=PASSWORD, **login)
        driven("filter", filter=options.pop("pages", None))
        if collections:
            options["collections"] = collections
        driven("open", **options)
        driven("sync")
        return driven

    def phone(self, user: str, *collections: str, **options: Any) -> RxdbPhone:
        """A new phone of somebody, replicating; the schemas are the published ones, and every document is checked."""
        driven = RxdbPhone()
        self.phones.append(driven)
        driven("login", base=self.base, username=user, password=PASSWORD)
        for name in collections or ("cases",):
            driven("open", name, **{"remote": "http", "schema": "published", "validate": True, **options})
            driven("settled", name)
        return driven


@pytest.fixture
def district(tmp_path: Path, district_files: Path, library: Path) -> Iterator[Served]:
    """A district of its own for a scenario, on a port of its own."""
    shutil.copytree(district_files, tmp_path / "town")
    served = Served(tmp_path / "town", library)
    try:
        yield served
    finally:
        for driven in served.phones:
            driven.close()
        served.close()


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client library as JavaScript, with the packages that the phones of these tests use."""
    node, compiler = shutil.which("node"), ROOT / "web" / "node_modules" / "typescript" / "bin" / "tsc"
    if node is None or not compiler.is_file():
        raise RxdbError("no Node, or no TypeScript in web/: run `make setup`")
    folder = tmp_path_factory.mktemp("library")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(Path(__file__).parent / "node_modules")
    project = ROOT / "web" / "shared" / "sync"
    made = subprocess.run(
        [node, compiler, "-p", project, "--noEmit", "false", "--outDir", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout
    return folder


@pytest.fixture(scope="session")
def district_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The district's files, made once and copied for each scenario."""
    folder = tmp_path_factory.mktemp("rxdb") / "town"
    folder.mkdir()
    build_town(folder)
    return folder
