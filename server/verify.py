"""Looks a district's database over: the file itself, what points where, the clock, the audit chain, the keys."""

from collections.abc import Iterator

from msgspec import Struct
from sqlalchemy import Connection

from sync.commit import audit_hash
from sync.errors import KeyLost, StoreUnavailable
from sync.sql_store import SqlStore, told_unavailable
from sync.values import Keys

_STEP = 5_000
_DEKS = 2_000
_AUDITED = ("seq", "at", "actor", "action", "touched")
# (table, column, table pointed to, column there)
_POINTERS = (
    ("document", "case_pk", "document", "pk"),
    ("closed_place", "doc_pk", "document", "pk"),
    ("closed_class", "doc_pk", "document", "pk"),
    ("change", "doc_pk", "document", "pk"),
    ("ledger", "doc_pk", "document", "pk"),
    ("merger", "case_pk", "document", "pk"),
    ("merger", "master_pk", "document", "pk"),
    ("naming", "case_pk", "document", "pk"),
    ("naming", "user_pk", "account", "pk"),
    ("query_code", "case_pk", "document", "pk"),
    ("blob", "doc_pk", "document", "pk"),
    ("case_clocks", "case_pk", "document", "pk"),
    ("firing", "case_pk", "document", "pk"),
    ("escalation", "case_pk", "document", "pk"),
    ("grant_role", "user_pk", "account", "pk"),
    ("grant_role", "unit_pk", "unit", "pk"),
    ("grant_role", "cell_pk", "cell", "pk"),
    ("unit_cell", "unit_pk", "unit", "pk"),
    ("device", "user_pk", "account", "pk"),
    ("session", "user_pk", "account", "pk"),
    ("session", "device_pk", "device", "pk"),
    ("device_key", "device_pk", "device", "pk"),
    ("sealed_bundle", "device_pk", "device", "pk"),
)


class Verified(Struct):
    """What was found: `faults` are sentences, none when all is well; without figures where nothing could be read."""

    district: str
    faults: list[str]
    head: int | None = None
    epoch: int | None = None
    documents: int | None = None
    files: int | None = None  # whose bytes are held
    audit_records: int | None = None
    audit_last: str = ""  # the end of the chain, to be kept outside


def verify_district(code: str, store: SqlStore, keys: Keys) -> Verified:
    """Read everything once; changes nothing. What cannot be read, a broken page for one, is a fault."""
    found = Verified(code, [])
    try:
        with told_unavailable(store.name):
            _look_over(store, keys, found)
    except StoreUnavailable as error:
        found.faults.append(error.detail)
    return found


def _look_over(store: SqlStore, keys: Keys, found: Verified) -> None:
    with store.reader.connect() as connection:
        if store.postgres:
            connection = connection.execution_options(  # noqa: PLW2901
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            connection.begin()
        else:
            connection.exec_driver_sql("begin")
        try:
            faults = found.faults
            if not store.postgres:
                faults += _file_faults(connection)
            faults += _pointer_faults(connection)
            faults += _clock_faults(connection)
            records, last, broken = _chain(connection, postgres=store.postgres)
            faults += broken
            faults += _key_faults(connection, keys)
            found.head, found.epoch = connection.exec_driver_sql(
                "select seq, epoch from clock where id = 1"
            ).one()
            found.audit_records, found.audit_last = records, last.hex()
            found.documents = connection.exec_driver_sql("select count(*) from document").scalar_one()
        finally:
            if store.postgres:
                connection.rollback()
            else:
                connection.exec_driver_sql("rollback")


def _file_faults(connection: Connection) -> Iterator[str]:
    for (answer,) in connection.exec_driver_sql("pragma integrity_check(20)").fetchall():
        if answer != "ok":
            yield f"file: {answer}"
    for row in connection.exec_driver_sql("pragma foreign_key_check").fetchall():
        yield f"file: {row[0]} points to nothing in {row[2]}"


def _pointer_faults(connection: Connection) -> Iterator[str]:
    for table, column, target, key in _POINTERS:
        sql = (
            f'select count(*) from "{table}" a where a."{column}" is not null '  # noqa: S608  # names from above
            f'and not exists (select 1 from "{target}" b where b."{key}" = a."{column}")'
        )
        lost = connection.exec_driver_sql(sql).scalar_one()
        if lost:
            yield f"{lost} rows of {table} point with {column} to a {target} that is not there"


def _clock_faults(connection: Connection) -> Iterator[str]:
    seq, next_pk, epoch = connection.exec_driver_sql(
        "select seq, next_pk, epoch from clock where id = 1"
    ).one()
    for table in ("document", "change", "audit", "ledger", "quarantine"):
        highest = connection.exec_driver_sql(f'select max(seq) from "{table}"').scalar_one()  # noqa: S608
        if highest is not None and highest > seq:
            yield f"{table} holds number {highest}, over the clock's {seq}"
    highest = connection.exec_driver_sql("select max(pk) from document").scalar_one()
    if highest is not None and highest >= next_pk:
        yield f"document key {highest} is not below the next key {next_pk}"
    known = connection.exec_driver_sql("select max(epoch) from epoch").scalar_one()
    if known != epoch:
        yield f"the clock is in epoch {epoch}, the newest known is {known}"


def _chain(connection: Connection, *, postgres: bool) -> tuple[int, bytes, list[str]]:
    mark = "%s" if postgres else "?"
    sql = f"select pk, {', '.join(_AUDITED)}, hash from audit where pk > {mark} order by pk limit {_STEP}"  # noqa: S608
    former, count, after = b"", 0, 0
    faults: list[str] = []
    while rows := connection.exec_driver_sql(sql, (after,)).fetchall():
        for row in rows:
            expected = audit_hash(former, dict(zip(_AUDITED, row[1:-1], strict=True)))
            if expected != bytes(row[-1]) and len(faults) < 20:
                faults.append(
                    f"audit record {row[0]} does not fit the chain: it or one before it was changed"
                )
            former = bytes(row[-1])
            count += 1
        after = rows[-1][0]
    return count, former, faults


def _key_faults(connection: Connection, keys: Keys) -> Iterator[str]:
    rows = connection.exec_driver_sql(
        f"select pk, dek from document where dek is not null order by pk desc limit {_DEKS}"  # noqa: S608
    ).fetchall()
    lost = 0
    for _, dek in rows:
        try:
            keys.unwrap(bytes(dek))
        except KeyLost:
            lost += 1
    if lost:
        yield f"{lost} of the newest {len(rows)} data keys cannot be opened with the district's key"
