"""Below server/ nothing asks the machine for time, chance or identity; one file speaks SQL; one door commits."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.architecture.code import calls, files, imported, short, tree

if TYPE_CHECKING:
    from pathlib import Path

MODULES = {"time", "random", "secrets", "threading", "socket", "subprocess", "sched", "numpy.random"}
ASKED = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "uuid.uuid1",
    "uuid.uuid4",
    "uuid.uuid7",
    "uuid4",
    "uuid7",
    "os.urandom",
    "os.getenv",
    "AESGCM.generate_key",
    "Fernet.generate_key",
}
# Data files of the package are read once, when a module is imported.
READS = {"open", "read_text", "read_bytes", "write_text", "write_bytes"}


def asked_of_the_machine(module: ast.Module) -> list[str]:
    """What a module takes from the machine instead of its arguments."""
    found = [name for _, name in imported(module) if name in MODULES or name.split(".")[0] in MODULES]
    names = (name for _, name in calls(module) if "chance." not in name)  # the chance that was handed in
    return found + [
        name for name in names if name in ASKED or any(name.endswith(f".{asked}") for asked in ASKED)
    ]


@pytest.mark.parametrize("path", files("geo", "sync"), ids=short)
def test_time_chance_and_identity_come_in_as_arguments(path: Path) -> None:
    assert asked_of_the_machine(tree(path)) == []


@pytest.mark.parametrize(
    "planted",
    [
        "import time\n",
        "from random import choice\n",
        "import secrets as s\n",
        "import uuid\nx = uuid.uuid4()\n",
        "import datetime\nx = datetime.datetime.now()\n",
        "from datetime import date\nx = date.today()\n",
        "import os\ndef f():\n    return os.urandom(4)\n",
        "from cryptography.hazmat.primitives.ciphers.aead import AESGCM\nk = AESGCM.generate_key(128)\n",
    ],
)
def test_a_planted_look_at_the_machine_is_found(planted: str) -> None:
    assert asked_of_the_machine(ast.parse(planted))


def test_files_are_read_only_where_the_packages_own_data_is_loaded() -> None:
    readers = {
        short(path)
        for path in files("geo", "sync")
        for _, name in calls(tree(path))
        if name.rsplit(".", 1)[-1] in READS
    }
    assert readers <= {
        "sync/cases/catalogue.py",
        "sync/cases/acts.py",
        "sync/cases/schema.py",
        "geo/archive.py",  # entries of an archive that is in memory
    }


def test_one_file_below_the_server_speaks_sql() -> None:
    speakers = {
        short(path)
        for path in files("geo", "sync")
        for _, name in imported(tree(path))
        if name.split(".")[0] in {"sqlalchemy", "pysqlite3", "psycopg", "sqlite3"}
    }
    assert speakers == {"sync/sql_store.py", "sync/tables.py"}


def test_nothing_writes_past_the_one_door() -> None:
    """Works go through ``sync.commit``; only opening a new district and a restore write by themselves."""
    writers = {
        short(path)
        for path in files("sync", "server")
        for _, name in calls(tree(path))
        if name in {"store.write", "self.store.write", "district.store.write"}
    }
    assert writers <= {"sync/commit.py", "server/database.py", "server/restore.py"}


def test_no_row_is_ever_deleted() -> None:
    texts = [
        (short(path), node.value)
        for path in files("sync")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert [where for where, text in texts if "delete from" in text.lower()] == []


def test_sql_is_never_made_of_values() -> None:
    """Statements are plain text with marks; what is put into them are names checked against the tables."""
    for node, name in calls(tree(files("sync")[0].parent / "sql_store.py")):
        if name.rsplit(".", 1)[-1] in {"format", "format_map"}:
            raise AssertionError(ast.unparse(node))
