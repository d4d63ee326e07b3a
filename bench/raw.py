"""The raw limit: what the same driver does with the same pragmas when nothing but the documents is written.

One table with a UUIDv7 as text for a key, an index on (cell, seq), and the document as UTF-8 text.
"""

import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from sync.sql_store import sqlite_engine

Row = tuple[str, int, int, str]
_TABLE = (
    "create table doc (id text primary key, cell integer not null, seq bigint not null, body text not null)"
)
_INDEX = "create index doc_cell on doc (cell, seq)"


def rows_of(batches: Iterable[Sequence[dict[str, Any]]], cells: int, seq: int) -> list[list[Row]]:
    """The same documents as rows, spread over `cells`."""
    found: list[list[Row]] = []
    for batch in batches:
        rows: list[Row] = []
        for case in batch:
            seq += 1
            cell = zlib.crc32(case["id"].encode()) % cells
            rows.append((case["id"], cell, seq, msgspec.json.encode(case).decode()))
        found.append(rows)
    return found


class RawSqlite:
    """The table in one SQLite file, over the very connection that the product opens."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._engine = sqlite_engine(path)
        self._pooled = self._engine.raw_connection()
        connection: Any = self._pooled.driver_connection
        self.connection = connection
        self.connection.execute(_TABLE)
        self.connection.execute(_INDEX)
        self.count = 0

    def insert(self, batches: Iterable[Sequence[Row]]) -> None:
        """A transaction a batch."""
        connection = self.connection
        for rows in batches:
            connection.execute("begin immediate")
            connection.executemany("insert into doc values (?, ?, ?, ?)", rows)
            connection.execute("commit")
            self.count += len(rows)

    def bodies(self, limit: int) -> bytes:
        """`limit` documents in key order as one JSON array: the least a first pull can be."""
        rows = self.connection.execute("select body from doc order by seq limit ?", (limit,))
        return ("[" + ",".join(row[0] for row in rows) + "]").encode()

    def delta(self, cells: Sequence[int], over: int) -> bytes:
        """What came after `over` in some cells: the least a delta can be."""
        found: list[str] = []
        for cell in cells:
            rows = self.connection.execute(
                "select body from doc where cell = ? and seq > ? order by seq", (cell, over)
            )
            found += [row[0] for row in rows]
        return ("[" + ",".join(found) + "]").encode()

    def close(self) -> None:
        """Give the connection back."""
        self._pooled.close()
        self._engine.dispose()


class RawPostgres:
    """The table in PostgreSQL, filled by one `unnest` a transaction: the fastest plain way in."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True)
        self.connection.execute("create schema raw")
        self.connection.execute(_TABLE.replace("doc", "raw.doc", 1).replace("integer", "int").encode())
        self.connection.execute(_INDEX.replace("on doc", "on raw.doc").encode())

    def insert(self, batches: Iterable[Sequence[Row]]) -> None:
        """A transaction a batch."""
        for rows in batches:
            columns = [list(column) for column in zip(*rows, strict=True)]
            with self.connection.transaction():
                self.connection.execute(
                    "insert into raw.doc select * from unnest(%b::text[], %b::int[], %b::bigint[], %b::text[])",
                    columns,
                )

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()
