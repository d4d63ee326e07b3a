"""What a server on SQLite does not load, since it never uses it: 20 MiB of its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from server.runtime import initialise
from server.settings import Settings

ROOT = Path(__file__).parents[3]
SERVE = """
import asyncio, sys
from server import serve
from server.app import create_app
from server.settings import Settings
async def serve_once():
    app = create_app(Settings(data=sys.argv[1]))
    async with app.lifespan():
        assert app.state.runtime.districts
        print(*sorted(sys.modules))
asyncio.run(serve_once())
"""
UNUSED = {"alembic", "mako", "pygments", "psycopg", "PIL"}


def test_a_server_on_sqlite_carries_neither_migrations_nor_postgresql_nor_pictures(tmp_path: Path) -> None:
    """Migrations are run by a command, pictures are looked at by a process of their own."""
    initialise(Settings(data=str(tmp_path), purpose="test"), "410399", "涧东区", "涧东")
    said = subprocess.run(
        [sys.executable, "-c", SERVE, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    loaded = set(said.stdout.split())
    assert "pysqlite3" in loaded
    assert loaded & UNUSED == set()
