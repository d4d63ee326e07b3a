"""The store on SQLite and on PostgreSQL: one implementation, two dialects.

Both are driven synchronously from threads; the writing half holds the district's clock row from its first statement
to the commit, which is what serialises commits (SQLite: ``BEGIN IMMEDIATE``; PostgreSQL: ``SELECT … FOR UPDATE`` on
that row). Hot statements are plain SQL with bound values, compiled once; the generic half builds its statements from
column names of ``tables`` only.
"""

import re
import sys
from collections.abc import Callable, Collection as Some, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import pysqlite3
from msgspec.structs import astuple
from sqlalchemy import Connection, Engine, Table, create_engine, event, exc, pool
from sqlalchemy.schema import CreateSchema

from sync.errors import StoreFailed, StoreUnavailable
from sync.store import Row, Tx
from sync.tables import DistrictRow
from sync.values import ClassInterval, Doc, Head, Interval, Named

T = TypeVar("T")

# The driver asks each None, bytes and bool whether it adapts itself, at half a microsecond apiece: two thirds of what
# an insert of a document cost. Told beforehand, it asks less; of a bytearray, as hot statements bind, it asks nothing.
# What is stored stays the same.
for _kind, _adapt in ((bytes, bytearray), (type(None), {None: None}.get), (bool, int)):
    pysqlite3.register_adapter(_kind, _adapt)

SQLITE_MINIMUM = (3, 51, 3)  # 3.7.0 to 3.51.2 can corrupt a database in WAL mode
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "busy_timeout=5000",
    "mmap_size=0",
    "trusted_schema=OFF",
    "secure_delete=ON",
    "temp_store=MEMORY",
    "cache_size=-8192",  # KiB a connection; what is behind it is in the system's own cache
    "wal_autocheckpoint=4000",
)
_WITH_CONTENT = ("document", "change", "ledger", "quarantine", "case_clocks")
_PROBE_OVER = 8  # more tags than this are probed together first
_STREAM_FROM = 8  # rows from which a stream costs less than a statement a row
_IN_MAX = 500  # names in one IN list; longer lists are asked in pieces
_OPERATORS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "like": "like"}
_TABLES: dict[str, Table] = dict(DistrictRow.metadata.tables)
_DOC_COLUMNS = Doc.__struct_fields__
_DOC = ", ".join(_DOC_COLUMNS)
# A collection of documents stands in the text of a statement. Where it is bound, SQLite compares the value with the
# condition of the partial index `document_recent`, and compiles the statement again each time it is asked.
_TAG_COLUMN = {0: "cell", 1: "duty", 2: "person", 3: "author"}
_NAME = re.compile(r"^[a-z][a-z0-9_]*$")


def sqlite_version() -> tuple[int, ...]:
    """The version of the SQLite library that this store would use."""
    return tuple(int(part) for part in pysqlite3.sqlite_version.split("."))


def sqlite_engine(path: Path, *, readonly: bool = False) -> Engine:
    """An engine for one SQLite file, with the pragmas read back; refuses a library with the WAL defect."""
    if sqlite_version() < SQLITE_MINIMUM:
        needed = ".".join(map(str, SQLITE_MINIMUM))
        message = (
            f"SQLite {pysqlite3.sqlite_version} can damage a database in WAL mode; install {needed} or newer."
        )
        raise StoreUnavailable(message)

    def connect() -> Any:  # a DB-API connection has no type of its own
        connection = pysqlite3.connect(
            str(path), check_same_thread=False, isolation_level=None, cached_statements=512
        )
        for pragma in _PRAGMAS:
            connection.execute(f"pragma {pragma}")
        if readonly:
            connection.execute("pragma query_only=ON")
            connection.execute("pragma cache_size=-2048")  # there are several readers
        mode = connection.execute("pragma journal_mode").fetchone()[0]
        level = connection.execute("pragma synchronous").fetchone()[0]
        if mode != "wal" or level != 2:  # 2 is FULL
            message = f"{path.name}: journal mode {mode}, synchronous {level}; WAL and FULL are needed."
            raise StoreUnavailable(message)
        return connection

    return create_engine(
        "sqlite://",
        creator=connect,
        module=pysqlite3,
        poolclass=pool.QueuePool,
        pool_size=4,
        max_overflow=4,
        pool_reset_on_return=None,
    )


def postgres_engine(url: str, schema: str) -> Engine:
    """An engine whose every transaction looks into one schema and nowhere else."""
    if not _NAME.match(schema):
        message = f"{schema!r} cannot be a schema name."
        raise StoreUnavailable(message)
    engine = create_engine(
        re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql+psycopg://", url),
        pool_size=6,
        max_overflow=4,
        pool_pre_ping=True,
    )

    @event.listens_for(engine, "begin")
    def _look_into_schema(connection: Connection) -> None:
        for statement in _local(schema):
            connection.exec_driver_sql(statement)

    return engine


def _local(schema: str) -> tuple[str, ...]:
    """What holds for one transaction: the schema it looks into, and how long it may take."""
    return (
        f"set local search_path to {schema}",
        "set local statement_timeout to 30000",
        "set local idle_in_transaction_session_timeout to 60000",
    )


@contextmanager
def _begun(engine: Engine, *statements: str) -> Generator[Any, None, None]:
    """A driver's connection to PostgreSQL in a transaction that was begun in one round trip; the caller commits."""
    with _lent(engine) as driver:
        driver.autocommit = True  # what follows begins and ends the transaction in so many words
        try:
            driver.execute("; ".join(statements))
            yield driver
        except BaseException:  # an interrupt too must not leave the transaction open
            if not driver.closed:
                driver.rollback()
            raise
        finally:
            if not driver.closed:
                driver.autocommit = False


def _errors(kind: str) -> tuple[type[Exception], ...]:
    """The errors called `kind` of the drivers in use.

    That of PostgreSQL comes with the first engine for it, so that a server on SQLite does not carry it; while it is not
    loaded it has raised nothing.
    """
    drivers = [pysqlite3, sys.modules.get("psycopg")]
    return tuple(getattr(driver, kind) for driver in drivers if driver is not None)


_DATABASE = (exc.DatabaseError, pysqlite3.DatabaseError)


def _tell_damage(error: Exception, name: str) -> None:
    # SQLite has no class of its own for a broken page or a file that is none of its own: it is the bare base class.
    driver = error.orig if isinstance(error, exc.DBAPIError) else error
    if type(driver) is pysqlite3.DatabaseError:
        raise StoreUnavailable(
            f"{name} is damaged or is no database ({driver}): keep the file and restore a backup."
        ) from error


@contextmanager
def told_unavailable(name: str) -> Generator[None, None, None]:
    """Say ``StoreUnavailable`` where the database behind `name` cannot be reached, is full, or is damaged."""
    try:
        yield
    except _unavailable() as error:
        raise StoreUnavailable(f"{name} cannot be read: {_first_line(error)}") from error
    except _DATABASE as error:
        _tell_damage(error, name)
        raise


def _first_line(error: Exception) -> str:
    driver = error.orig if isinstance(error, exc.DBAPIError) else error
    return str(driver).partition("\n")[0]


# Statements go to the driver itself: what SQLAlchemy puts around each costs more than SQLite needs to answer it.
def _unavailable() -> tuple[type[Exception], ...]:
    return exc.OperationalError, exc.TimeoutError, *_errors("OperationalError")


def _is_failing_disk(error: Exception) -> bool:
    # A write or a sync that failed, not for want of room. To sync again would succeed and prove nothing: the system
    # has marked as clean what it could not write.
    return str(getattr(error, "sqlite_errorname", "")).startswith("SQLITE_IOERR")


@contextmanager
def _lent(engine: Engine) -> Generator[Any, None, None]:
    """A driver's connection from the pool."""
    lent = engine.raw_connection()
    try:
        yield lent.driver_connection
    finally:
        lent.close()


class SqlStore:
    """One district in one SQLite file or one PostgreSQL schema."""

    def __init__(
        self, engine: Engine, *, reader: Engine | None = None, schema: str | None = None, name: str = ""
    ) -> None:
        """Read through `reader` where given (SQLite: connections that cannot write); `name` is for errors."""
        self.engine = engine
        self.reader = reader or engine
        self.schema = schema
        self.name = name or schema or "The database"
        self.postgres = engine.dialect.name == "postgresql"
        self.failed = False
        self._reads: dict[SqlReader, int] = {}  # under way, and how many rounds of looking each has outlived
        self._path: Path | None = None

    @classmethod
    def sqlite(cls, path: Path) -> "SqlStore":
        """The store in the SQLite file `path`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        made = cls(sqlite_engine(path), reader=sqlite_engine(path, readonly=True), name=path.name)
        made._path = path  # its own
        return made

    @classmethod
    def postgresql(cls, url: str, schema: str) -> "SqlStore":
        """The store in the schema `schema` of the database at `url`."""
        return cls(postgres_engine(url, schema), schema=schema)

    def create(self) -> None:
        """Make the tables as the models declare them: for tests and benchmarks; a server migrates instead."""
        if self.schema:
            with self.engine.begin() as connection:
                connection.execute(CreateSchema(self.schema, if_not_exists=True))
        with self.engine.begin() as connection:
            DistrictRow.metadata.create_all(connection)
        self.write(open_clock)

    @contextmanager
    def read(self, *, bounded: bool = False) -> Generator["SqlReader", None, None]:
        """One snapshot; a `bounded` one is ended by ``end_long_reads`` when it lasts."""
        try:
            if self.postgres:
                begin = "begin isolation level repeatable read read only"
                with _begun(self.reader, begin, *_local(self.schema or "")) as driver:
                    yield SqlReader(driver, postgres=True)
                    driver.execute("commit")
            else:
                with _lent(self.reader) as driver:
                    driver.execute("begin")
                    reader = SqlReader(driver, postgres=False)
                    if bounded:
                        self._reads[reader] = 0
                    try:
                        yield reader
                    finally:
                        self._reads.pop(reader, None)
                        driver.execute("rollback")
        except _unavailable() as error:
            raise StoreUnavailable from error
        except _DATABASE as error:
            _tell_damage(error, self.name)
            raise

    def settle(self) -> None:
        """Put what the last process left in SQLite's log into the file, written and synced once more.

        After a sync that failed the system may call pages of the log clean that never reached the disk.
        """
        if not self.postgres:
            with told_unavailable(self.name), _lent(self.engine) as driver:
                driver.execute("pragma wal_checkpoint(truncate)")

    def write(self, work: Callable[["SqlTx"], T]) -> T:
        """One transaction; the clock row is locked before anything is read.

        Raises ``StoreFailed`` from the first time on that the disk failed.
        """
        if self.failed:
            raise StoreFailed
        try:
            if self.postgres:
                lock = "select seq from clock where id = 1 for update"
                with _begun(self.engine, "begin", *_local(self.schema or ""), lock) as driver:
                    result = work(SqlTx(driver, postgres=True))
                    # PostgreSQL answers the commit of a transaction in which something failed by a rollback, kindly.
                    if driver.execute("commit").statusmessage != "COMMIT":
                        raise StoreUnavailable(
                            "A statement failed within the transaction; nothing was stored."
                        )
                    return result
            with _lent(self.engine) as driver:
                driver.execute("begin immediate")
                try:
                    result = work(SqlTx(driver, postgres=False))
                    driver.execute("commit")
                except BaseException:  # an interrupt too must not leave the transaction open
                    if driver.in_transaction:
                        driver.execute("rollback")
                    raise
                return result
        except _unavailable() as error:
            if _is_failing_disk(error):
                self.failed = True
                raise StoreFailed from error
            raise StoreUnavailable from error
        except _DATABASE as error:
            _tell_damage(error, self.name)
            raise

    def scrub(self) -> bool:
        """ER3: leave nothing of erased content in free pages or in the log; False where a reader is in the way.

        Rewrites the tables that hold content, so it costs what the district weighs; nobody may write meanwhile.
        """
        try:
            if self.postgres:
                with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    # AUTOCOMMIT begins nothing, so the schema is named
                    for table in _WITH_CONTENT:
                        connection.exec_driver_sql(f'vacuum (full) {self.schema}."{table}"')
                return True
            with _lent(self.engine) as driver:
                driver.execute("vacuum")
                return int(driver.execute("pragma wal_checkpoint(truncate)").fetchone()[0]) == 0
        except _unavailable() as error:
            raise StoreUnavailable from error

    def end_long_reads(self, rounds: int) -> int:
        """Begin a round; reads that have outlived `rounds` of them fail at once or at their next question: how many.

        A snapshot that stays open keeps SQLite's log from beginning anew, and the log grows with every commit. On
        PostgreSQL the server itself ends what lasts.
        """
        ended = 0
        for reader, outlived in list(self._reads.items()):
            if reader in self._reads:
                self._reads[reader] = outlived + 1
            if outlived >= rounds:
                reader.end()
                ended += 1
        return ended

    def log_bytes(self) -> int:
        """The size of SQLite's write-ahead log; 0 on PostgreSQL."""
        log = None if self._path is None else self._path.with_name(f"{self._path.name}-wal")
        try:
            return 0 if log is None else log.stat().st_size
        except FileNotFoundError:
            return 0

    def shorten_log(self) -> bool:
        """Write the log into the file and cut it; False where somebody still reads what it holds.

        Raises ``StoreFailed`` like ``write``: a sync that failed here is as bad as one of a commit.
        """
        if self.failed:
            raise StoreFailed
        try:
            with _lent(self.engine) as driver:
                driver.execute("pragma busy_timeout=200")  # commits wait meanwhile
                try:
                    busy = driver.execute("pragma wal_checkpoint(truncate)").fetchone()[0]
                finally:
                    driver.execute("pragma busy_timeout=5000")
        except _unavailable() as error:
            if _is_failing_disk(error):
                self.failed = True
                raise StoreFailed from error
            raise StoreUnavailable from error
        return not busy

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()
        if self.reader is not self.engine:
            self.reader.dispose()


def open_clock(tx: Tx) -> None:
    """Write the clock row of a new district."""
    if not tx.find("clock", {"id": 1}):
        tx.insert("clock", [{"id": 1, "seq": 0, "next_pk": 1, "epoch": 1, "config": 0}])
        tx.insert("epoch", [{"epoch": 1, "restored_to": 0}])


def _columns(table: str, names: Iterable[str]) -> None:
    known = _TABLES[table].c
    for name in names:
        if name not in known:
            message = f"{table} has no column {name}"
            raise KeyError(message)


def _told(error: Exception, sql: str) -> exc.DBAPIError:
    """The same error whichever driver had it; without values, which may be personal."""
    if isinstance(error, _errors("OperationalError")):
        return exc.OperationalError(sql, None, error)
    if isinstance(error, _errors("IntegrityError")):
        return exc.IntegrityError(sql, None, error)
    if type(error) is pysqlite3.DatabaseError:
        return exc.DatabaseError(sql, None, error)
    return exc.DBAPIError(sql, None, error)


def _bound(values: Iterable[Any]) -> tuple[Any, ...]:
    """Values as they are bound: see where adapters are registered."""
    return tuple([bytearray(value) if value.__class__ is bytes else value for value in values])


def _few(limit: int) -> int:
    """The next power of two, or multiple of 32: few texts of a statement, so that each is compiled once.

    A bound limit would not do: SQLite compiles a statement again whenever its bound limit is set.
    """
    return 1 << max(limit - 1, 0).bit_length() if limit <= 32 else -(-limit // 32) * 32


class SqlReader:
    """See ``store.Reader``."""

    def __init__(self, driver: Any, *, postgres: bool) -> None:
        """Ask through `driver`, a connection of the driver inside a transaction."""
        self._driver = driver
        self._postgres = postgres
        self._ended = False
        self._head: Head | None = None

    def end(self) -> None:
        """Whatever is asked, or will be, fails; from any thread."""
        self._ended = True
        self._driver.interrupt()

    def _rows(self, sql: str, values: Sequence[Any]) -> Sequence[Any]:
        if self._ended:
            raise exc.OperationalError(sql, None, TimeoutError("the read has lasted too long"))
        if self._postgres:
            sql = sql.replace("?", "%s")
        try:
            found: Sequence[Any] = self._driver.execute(sql, _bound(values)).fetchall()
        except _errors("Error") as error:
            raise _told(error, sql) from error
        return found

    def _condition(self, table: str, where: Mapping[str, Any]) -> tuple[str, list[Any]]:
        parts: list[str] = []
        values: list[Any] = []
        for key, value in where.items():
            name, _, operator = key.partition("__")
            _columns(table, [name])
            if operator:
                parts.append(f'"{name}" {_OPERATORS[operator]} ?')
                values.append(value)
            elif value is None:
                parts.append(f'"{name}" is null')
            elif isinstance(value, list | tuple | set | frozenset):
                if not value:
                    parts.append("1 = 0")
                    continue
                parts.append(f'"{name}" in ({", ".join("?" * len(value))})')
                values.extend(value)
            else:
                parts.append(f'"{name}" = ?')
                values.append(value)
        return (" where " + " and ".join(parts)) if parts else "", values

    def head(self) -> Head:
        if self._head is None:
            self._head = self._read_head()
        return self._head  # a snapshot has but one

    def _read_head(self) -> Head:
        return Head(*self._rows("select seq, next_pk, epoch, config from clock where id = 1", ())[0])

    def find(
        self,
        table: str,
        where: Mapping[str, Any] | None = None,
        *,
        order: Sequence[str] = (),
        limit: int | None = None,
        columns: Sequence[str] = (),
    ) -> list[Row]:
        names = list(columns) or [column.name for column in _TABLES[table].c]
        _columns(table, names)
        _columns(table, [name.removeprefix("-") for name in order])
        condition, values = self._condition(table, where or {})
        listed = ", ".join(f'"{name}"' for name in names)
        sql = f'select {listed} from "{table}"{condition}'  # noqa: S608  # names are checked against the tables
        if order:
            sql += " order by " + ", ".join(
                f'"{name.removeprefix("-")}"{" desc" if name.startswith("-") else ""}' for name in order
            )
        if limit is not None:
            sql += f" limit {int(limit)}"
        return [dict(zip(names, row, strict=True)) for row in self._rows(sql, values)]

    def _docs(self, sql: str, values: Sequence[Any]) -> list[Doc]:
        return [Doc(*row) for row in self._rows(sql, values)]

    def documents(self, collection: int, ids: Sequence[bytes]) -> list[Doc]:
        found: list[Doc] = []
        for start in range(0, len(ids), _IN_MAX):
            part = ids[start : start + _IN_MAX]
            marks = ", ".join("?" * len(part))
            found += self._docs(
                f"select {_DOC} from document where collection = {int(collection)} and id in ({marks})",  # noqa: S608
                part,
            )
        return found

    def documents_by_pk(self, pks: Sequence[int], *, seq_over: int = 0) -> list[Doc]:
        return self._by_keys("pk", pks, seq_over=seq_over)

    def _by_keys(
        self, column: str, keys: Sequence[int], only: str = "", order: str = "", *, seq_over: int = 0
    ) -> list[Doc]:
        found: list[Doc] = []
        if seq_over:
            only += " and seq > ?"
        for start in range(0, len(keys), _IN_MAX):
            part = keys[start : start + _IN_MAX]
            marks = ", ".join("?" * len(part))
            sql = f"select {_DOC} from document where {column} in ({marks}){only}{order}"  # noqa: S608
            found += self._docs(sql, [*part, seq_over] if seq_over else part)
        return found

    def children(
        self, case_pks: Sequence[int], *, collection: int | None = None, seq_over: int = 0
    ) -> list[Doc]:
        # The sign keeps SQLite from walking the whole collection by an index, where it knows nothing of the figures.
        only = "" if collection is None else f" and +collection = {int(collection)}"
        return self._by_keys("case_pk", case_pks, only, " order by pk", seq_over=seq_over)

    def tagged(
        self,
        collection: int,
        kind: int,
        tags: Sequence[int],
        *,
        seq_over: int,
        seq_upto: int | None,
        after: tuple[int, int, int] | None,
        limit: int,
        statuses: Some[int] = (),
        others: bool = False,
    ) -> list[Doc]:
        column = _TAG_COLUMN[kind]
        extra = " and author_since is not null" if kind == 3 else ""  # Place.author
        extra += f" and {column} is not null" if kind in {1, 2} else ""
        if statuses:  # in the text: there are two lists of them in all
            listed = f"in ({', '.join(str(int(number)) for number in sorted(statuses))})"
            extra += f" and (status is null or status not {listed})" if others else f" and status {listed}"
        upto = " and seq <= ?" if seq_upto is not None else ""
        found: list[Doc] = []
        if after is not None:
            tags = [tag for tag in tags if tag >= after[0]]
        if len(tags) > _PROBE_OVER:
            tags = self._with_rows(collection, column, extra, tags, seq_over, seq_upto)
        # One indexed range a tag: the cost follows what changed in the tag, never what is stored.
        for tag in tags:
            if after is not None and tag < after[0]:
                continue
            keyed = after is not None and tag == after[0]
            key = " and (seq > ? or (seq = ? and pk > ?))" if keyed else ""
            values: list[Any] = [tag, max(seq_over, after[1] - 1) if keyed and after else seq_over]
            if seq_upto is not None:
                values.append(seq_upto)
            if keyed and after:
                values += [after[1], after[1], after[2]]
            found += self._docs(
                f"select {_DOC} from document where collection = {int(collection)} and {column} = ?{extra} "  # noqa: S608
                f"and seq > ?{upto}{key} order by seq, pk limit {_few(limit - len(found))}",
                values,
            )
            if len(found) >= limit:
                break
        return found[:limit]

    def count_tagged(self, kind: int, tags: Sequence[int], *, but_in: Sequence[int], most: int) -> int:
        column, count = _TAG_COLUMN[kind], 0
        extra = " and author_since is not null" if kind == 3 else ""  # Place.author
        extra += f" and {column} is not null" if kind in {1, 2} else ""
        if but_in:
            extra += f" and (cell is null or cell not in ({', '.join(map(str, map(int, but_in)))}))"
        # One range of the index for each tag.
        for collection in range(7):
            for start in range(0, len(tags), _IN_MAX):
                part = tags[start : start + _IN_MAX]
                if count < most:
                    rows = self._rows(
                        f"select count(*) from (select 1 from document where collection = {collection} "  # noqa: S608
                        f"and {column} in ({', '.join('?' * len(part))}){extra} limit {int(most - count)}) as found",
                        part,
                    )
                    count += int(rows[0][0])
        return count

    def recent(
        self,
        collection: int,
        *,
        below: tuple[int, int] | None,
        limit: int,
        place: tuple[int, int] | None = None,
        statuses: Sequence[int] | None = None,
    ) -> list[Doc]:
        if statuses is not None and place is None:
            return self._recent_of(statuses, below=below, limit=limit)
        parts, values = [f"collection = {int(collection)}"], list[Any]()
        if place is not None:
            kind, tag = place
            column = _TAG_COLUMN[kind]
            parts.append(f"{column} = ?")
            values.append(tag)
            if kind == 3:  # Place.author
                parts.append("author_since is not null")
        if statuses is not None:
            if not statuses:
                return []
            parts.append(f"status in ({', '.join('?' * len(statuses))})")
            values += statuses
        if below is not None:
            parts.append("(seq, pk) < (?, ?)")
            values += below
        # Without figures SQLite would rather fetch the whole collection and sort it.
        hint = "" if self._postgres or place is not None else " indexed by document_recent"
        return self._docs(
            f"select {_DOC} from document{hint} where {' and '.join(parts)} "  # noqa: S608
            f"order by seq desc, pk desc limit {int(limit)}",
            values,
        )

    def _recent_of(self, statuses: Sequence[int], *, below: tuple[int, int] | None, limit: int) -> list[Doc]:
        """The newest cases of these statuses: the newest keys of each, merged; only cases have a status."""
        if not statuses:
            return []
        under = "" if below is None else " and (seq, pk) < (?, ?)"
        newest = f"order by seq desc, pk desc limit {int(limit)}"
        each = " union all ".join(
            f"select seq, pk from (select seq, pk from document where status = {int(status)}{under} {newest}) as s"  # noqa: S608
            for status in statuses
        )
        keys = self._rows(f"select pk from ({each}) as found {newest}", list(below or ()) * len(statuses))  # noqa: S608
        found = {doc.pk: doc for doc in self.documents_by_pk(sorted(key[0] for key in keys))}
        return [found[key[0]] for key in keys]

    def _with_rows(
        self, collection: int, column: str, extra: str, tags: Sequence[int], over: int, upto: int | None
    ) -> list[int]:
        """Which of many tags have anything in the range: one statement instead of one a tag."""
        bound = " and seq <= ?" if upto is not None else ""
        found: list[int] = []
        for start in range(0, len(tags), _IN_MAX):
            part = tags[start : start + _IN_MAX]
            values: list[Any] = [*part, over]
            if upto is not None:
                values.append(upto)
            marks = ", ".join(["(?)"] * len(part))
            # One look for the first row of each tag: a tag with many rows costs no more than a tag with one.
            rows = self._rows(
                f"with wanted(tag) as (values {marks}) select tag from wanted where exists "  # noqa: S608
                f"(select 1 from document where collection = {int(collection)} and {column} = wanted.tag{extra} "
                f"and seq > ?{bound})",
                values,
            )
            found += [row[0] for row in rows]
        return sorted(found)

    def left(
        self,
        collection: int,
        kind: int,
        tags: Sequence[int],
        *,
        to_over: int,
        to_upto: int | None,
        after: tuple[int, int, int] | None,
        limit: int,
    ) -> list[Interval]:
        upto = " and v_to <= ?" if to_upto is not None else ""
        found: list[Interval] = []
        if len(tags) > _PROBE_OVER:
            tags = self._tags_left(collection, kind, tags, to_over)
        for tag in tags:
            if after is not None and tag < after[0]:
                continue
            keyed = after is not None and tag == after[0]
            key = " and (v_to > ? or (v_to = ? and doc_pk > ?))" if keyed else ""
            values: list[Any] = [collection, kind, tag, to_over]
            if to_upto is not None:
                values.append(to_upto)
            if keyed and after:
                values += [after[1], after[1], after[2]]
            rows = self._rows(
                "select doc_pk, collection, kind, tag, v_from, v_to from closed_place "  # noqa: S608
                f"where collection = ? and kind = ? and tag = ? and v_to > ?{upto}{key} "
                f"order by v_to, doc_pk limit {_few(limit - len(found))}",
                values,
            )
            found += [Interval(*row) for row in rows]
            if len(found) >= limit:
                break
        return found[:limit]

    def _tags_left(self, collection: int, kind: int, tags: Sequence[int], over: int) -> list[int]:
        found: list[int] = []
        for start in range(0, len(tags), _IN_MAX):
            part = tags[start : start + _IN_MAX]
            marks = ", ".join(["(?)"] * len(part))
            rows = self._rows(
                f"with wanted(tag) as (values {marks}) select tag from wanted where exists (select 1 from "  # noqa: S608
                "closed_place where collection = ? and kind = ? and closed_place.tag = wanted.tag and v_to > ?)",
                (*part, collection, kind, over),
            )
            found += [row[0] for row in rows]
        return sorted(found)

    def closed_places(self, doc_pks: Sequence[int]) -> list[Interval]:
        found: list[Interval] = []
        for start in range(0, len(doc_pks), _IN_MAX):
            part = doc_pks[start : start + _IN_MAX]
            marks = ", ".join("?" * len(part))
            rows = self._rows(
                f"select doc_pk, collection, kind, tag, v_from, v_to from closed_place where doc_pk in ({marks})",  # noqa: S608
                part,
            )
            found += [Interval(*row) for row in rows]
        return found

    def closed_classes(self, doc_pks: Sequence[int]) -> list[ClassInterval]:
        found: list[ClassInterval] = []
        for start in range(0, len(doc_pks), _IN_MAX):
            part = doc_pks[start : start + _IN_MAX]
            marks = ", ".join("?" * len(part))
            rows = self._rows(
                f"select doc_pk, klass, v_from, v_to from closed_class where doc_pk in ({marks})",  # noqa: S608
                part,
            )
            found += [ClassInterval(*row) for row in rows]
        return found

    def namings(self, *, users: Sequence[int] = (), cases: Sequence[int] = ()) -> list[Named]:
        column, keys = ("user_pk", users) if users else ("case_pk", cases)
        found: list[Named] = []
        for start in range(0, len(keys), _IN_MAX):
            part = keys[start : start + _IN_MAX]
            marks = ", ".join("?" * len(part))
            rows = self._rows(
                f"select pk, user_pk, case_pk, denied, v_from, v_to from naming where {column} in ({marks})",  # noqa: S608
                part,
            )
            found += [Named(row[0], row[1], row[2], bool(row[3]), row[4], row[5]) for row in rows]
        return found


_INSERT_DOC = f"insert into document ({_DOC}) values ({', '.join('?' * len(_DOC_COLUMNS))})"  # noqa: S608
# What nearly every new document is: in no hand, under no case, without a past. Columns that hold nothing are not named,
# since each costs the driver a question.
_INSERT_PLAIN = (
    "insert into document (pk, collection, id, seq, born, v, cell, cell_since, author, author_since, klass, "
    "klass_since, writer, w, device, digest, status, dek, clear, sealed, history) "
    "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, false)"
)
_UPDATE_DOC = f"update document set {', '.join(f'{name} = ?' for name in _DOC_COLUMNS[1:])} where pk = ?"  # noqa: S608


def _is_plain(doc: Doc) -> bool:
    return (
        doc.case_pk is None
        and doc.duty is None
        and doc.person is None
        and doc.entry_class is None
        and doc.code is None
        and doc.own_since is None
        and doc.gone is None
        and not doc.history
    )


def _plain_row(doc: Doc) -> tuple[Any, ...]:
    return (
        doc.pk,
        doc.collection,
        bytearray(doc.id),
        doc.seq,
        doc.born,
        doc.v,
        doc.cell,
        doc.cell_since,
        doc.author,
        doc.author_since,
        doc.klass,
        doc.klass_since,
        doc.writer,
        doc.w,
        doc.device,
        None if doc.digest is None else bytearray(doc.digest),
        doc.status,
        None if doc.dek is None else bytearray(doc.dek),
        bytearray(doc.clear),
        None if doc.sealed is None else bytearray(doc.sealed),
    )


class SqlTx(SqlReader):
    """See ``store.Tx``."""

    config_raised = False

    def head(self) -> Head:
        return self._read_head()  # it rises as numbers are taken

    def _run(self, sql: str, values: Sequence[Any]) -> int:
        if self._postgres:
            sql = sql.replace("?", "%s")
        try:
            return int(self._driver.execute(sql, _bound(values)).rowcount)
        except _errors("Error") as error:
            raise _told(error, sql) from error

    def _run_many(self, sql: str, rows: list[tuple[Any, ...]]) -> None:
        if not rows:
            return
        if self._postgres:
            sql = sql.replace("?", "%s")
        try:
            self._driver.cursor().executemany(sql, rows)
        except _errors("Error") as error:
            raise _told(error, sql) from error

    def _add_many(self, table: str, names: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
        """Add rows of `names`; many of them on PostgreSQL in one stream, which asks the server once for all."""
        columns = ", ".join(f'"{name}"' for name in names)
        if not self._postgres or len(rows) < _STREAM_FROM:
            marks = ", ".join("?" * len(names))
            self._run_many(f'insert into "{table}" ({columns}) values ({marks})', rows)  # noqa: S608
            return
        sql = f'copy "{table}" ({columns}) from stdin'
        try:
            with self._driver.cursor().copy(sql) as stream:
                for row in rows:
                    stream.write_row(row)
        except _errors("Error") as error:
            raise _told(error, sql) from error

    def number(self) -> int:
        return int(self._rows("update clock set seq = seq + 1 where id = 1 returning seq", ())[0][0])

    def raise_config(self) -> None:
        self.config_raised = True
        self._run("update clock set config = config + 1 where id = 1", ())

    def new_epoch(self, epoch: int) -> None:
        self._run("update clock set epoch = ? where id = 1", (epoch,))

    def take_pks(self, count: int) -> int:
        rows = self._rows("update clock set next_pk = next_pk + ? where id = 1 returning next_pk", (count,))
        return int(rows[0][0]) - count

    def advance(self, seq: int, next_pk: int) -> None:
        self._run("update clock set seq = ?, next_pk = ? where id = 1", (seq, next_pk))

    def insert(self, table: str, rows: Iterable[Row]) -> None:
        listed = list(rows)
        if not listed:
            return
        names = list(listed[0])
        _columns(table, names)
        values = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
        self._add_many(table, names, [_bound(values(row)) for row in listed])

    def add(self, table: str, row: Row) -> int:
        names = list(row)
        _columns(table, names)
        columns = ", ".join(f'"{name}"' for name in names)
        sql = f'insert into "{table}" ({columns}) values ({", ".join("?" * len(names))}) returning pk'  # noqa: S608
        return int(self._rows(sql, [row[name] for name in names])[0][0])

    def put(self, table: str, row: Row) -> None:
        names = list(row)
        _columns(table, names)
        keys = [column.name for column in _TABLES[table].primary_key.columns]
        columns = ", ".join(f'"{name}"' for name in names)
        changes = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name not in keys)
        sql = (
            f'insert into "{table}" ({columns}) values ({", ".join("?" * len(names))}) '  # noqa: S608
            f"on conflict ({', '.join(keys)}) do update set {changes}"
        )
        self._run(sql, [row[name] for name in names])

    def update(self, table: str, where: Mapping[str, Any], values: Mapping[str, Any]) -> int:
        _columns(table, values)
        condition, keys = self._condition(table, where)
        changes = ", ".join(f'"{name}" = ?' for name in values)
        return self._run(f'update "{table}" set {changes}{condition}', [*values.values(), *keys])  # noqa: S608

    def insert_documents(self, docs: Sequence[Doc]) -> None:
        if self._postgres and len(docs) >= _STREAM_FROM:
            self._add_many("document", _DOC_COLUMNS, [astuple(doc) for doc in docs])
            return
        plain = [doc for doc in docs if _is_plain(doc)]
        self._run_many(_INSERT_PLAIN, [_plain_row(doc) for doc in plain])
        if len(plain) < len(docs):
            self._run_many(_INSERT_DOC, [_bound(astuple(doc)) for doc in docs if not _is_plain(doc)])

    def update_documents(self, docs: Sequence[Doc]) -> None:
        self._run_many(_UPDATE_DOC, [(*astuple(doc)[1:], doc.pk) for doc in docs])

    def bump(self, pks: Sequence[int], seq: int) -> None:
        self._run_many("update document set seq = ? where pk = ?", [(seq, pk) for pk in pks])

    @contextmanager
    def savepoint(self) -> Generator[None, None, None]:
        self._driver.execute("savepoint part")
        try:
            yield
        except BaseException:  # an interrupt too must not leave half a part
            self._driver.execute("rollback to savepoint part")
            self._driver.execute("release savepoint part")
            raise
        self._driver.execute("release savepoint part")


__all__ = ["SQLITE_MINIMUM", "SqlReader", "SqlStore", "SqlTx", "open_clock", "sqlite_version"]
