"""Rows of one district, and of the directory of districts.

SQLModel classes are rows and nothing more: they stay inside the store, and domain values are made from them at once.
Columns named ``seq``, ``v_from``, ``v_to``, ``*_since``, ``born``, ``gone``, ``link`` are numbers of the district's
logical clock; ``*_at`` are milliseconds since the epoch, UTC.

The encoding is lean on purpose: a document's current place stands in its own row and an interval row is written only
when a place closes; a created document is its own first state, and an update writes the reverse delta together with
the write id of the state it replaces, which is also the idempotency record.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

# SQLite's row id must be declared INTEGER; it is 64 bits wide there.
BIG = BigInteger().with_variant(Integer(), "sqlite")


class DistrictRow(SQLModel):
    """Base of the tables that every district has of its own."""

    metadata = MetaData()


class DirectoryRow(SQLModel):
    """Base of the tables of the directory."""

    metadata = MetaData()


def _only(name: str, *columns: str, where: str) -> Index:
    """A partial index: rows that do not match cost nothing on write."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


def _key() -> Any:  # SQLModel's own Field() is typed so
    return Field(default=None, primary_key=True, sa_type=BIG)


def _big(default: int | None = None, *, null: bool = False) -> Any:
    return Field(default=default, sa_type=BIG, nullable=null)


def _small(default: int | None = None, *, null: bool = False) -> Any:
    return Field(default=default, sa_type=SmallInteger, nullable=null)


def _bytes(*, null: bool = False) -> Any:
    return Field(default=None, sa_type=LargeBinary, nullable=null)


def _text(default: str | None = None, *, null: bool = False) -> Any:
    return Field(default=default, sa_type=Text, nullable=null)


# --- the clock -------------------------------------------------------------------------------------------------------


class Clock(DistrictRow, table=True):
    """The one row that serialises commits: ``seq`` is the head, ``next_pk`` the next document key."""

    __tablename__ = "clock"
    id: int = Field(primary_key=True)
    seq: int = _big(0)
    next_pk: int = _big(1)
    epoch: int = _big(1)
    config: int = _big(0)  # raised by whatever changes units, cells, grants, rules or settings


class Epoch(DistrictRow, table=True):
    """Every restore this district knows: the new epoch and the number it was restored to."""

    __tablename__ = "epoch"
    epoch: int = Field(primary_key=True, sa_type=BIG)
    restored_to: int = _big(0)


# --- documents -------------------------------------------------------------------------------------------------------


class Document(DistrictRow, table=True):
    """One document of one of the eight collections: its current state and its current places."""

    __tablename__ = "document"
    __table_args__ = (
        UniqueConstraint("collection", "id", name="document_id"),
        Index("document_cell", "collection", "cell", "seq"),
        _only("document_duty", "collection", "duty", "seq", where="duty is not null"),
        _only("document_person", "collection", "person", "seq", where="person is not null"),
        _only("document_author", "collection", "author", "seq", where="author_since is not null"),
        _only("document_case", "case_pk", "pk", where="case_pk is not null"),
        _only("document_status", "status", "seq", where="status is not null"),
        _only("document_code", "code", where="code is not null"),
        # The console's list, newest first, for those who have many cells.
        _only("document_recent", "seq", "pk", where="collection = 0"),
    )
    pk: int = _key()
    collection: int = _small()
    id: bytes = _bytes()
    seq: int = _big()
    born: int = _big()
    gone: int | None = _big(null=True)
    v: int = _big()
    cell: int | None = _big(null=True)
    cell_since: int | None = _big(null=True)
    duty: int | None = _big(null=True)
    duty_since: int | None = _big(null=True)
    person: int | None = _big(null=True)
    person_since: int | None = _big(null=True)
    author: int | None = _big(null=True)
    author_since: int | None = _big(null=True)  # null once the author's place has closed
    klass: int = _small(0)
    klass_since: int = _big(0)
    writer: int | None = _big(null=True)  # who wrote a child; `author` is then its case's
    entry_class: int | None = _small(null=True)
    case_pk: int | None = _big(null=True)
    link: int | None = _big(null=True)
    own_since: int | None = _big(null=True)  # an entry that waits for its case is its author's alone
    history: bool = Field(default=False)  # closed intervals exist: most documents never need that look-up
    w: str | None = _text(null=True)
    device: int | None = _big(null=True)
    digest: bytes | None = _bytes(null=True)
    status: int | None = _small(null=True)
    code: str | None = _text(null=True)
    dek: bytes | None = _bytes(null=True)
    clear: bytes = _bytes()
    sealed: bytes | None = _bytes(null=True)


class ClosedPlace(DistrictRow, table=True):
    """A place that a document has left: kind is one of sync.values.PLACE_KINDS."""

    __tablename__ = "closed_place"
    __table_args__ = (
        Index("closed_place_tag", "collection", "kind", "tag", "v_to", "doc_pk"),
        Index("closed_place_doc", "doc_pk"),
    )
    pk: int | None = _key()
    collection: int = _small()
    kind: int = _small()
    tag: int = _big()
    doc_pk: int = _big()
    v_from: int = _big()
    v_to: int = _big()


class ClosedClass(DistrictRow, table=True):
    """A protection class that a case no longer has."""

    __tablename__ = "closed_class"
    __table_args__ = (Index("closed_class_doc", "doc_pk"),)
    pk: int | None = _key()
    doc_pk: int = _big()
    klass: int = _small()
    v_from: int = _big()
    v_to: int = _big()


class Naming(DistrictRow, table=True):
    """A person named for a case (`denied` false) or recused from it (`denied` true)."""

    __tablename__ = "naming"
    __table_args__ = (Index("naming_user", "user_pk", "denied"), Index("naming_case", "case_pk"))
    pk: int | None = _key()
    user_pk: int = _big()
    case_pk: int = _big()
    denied: bool = Field(default=False)
    v_from: int = _big()
    v_to: int | None = _big(null=True)


class Merger(DistrictRow, table=True):
    """Which case was merged into which, and when: they are one matter as long as the row is open."""

    __tablename__ = "merger"
    __table_args__ = (Index("merger_case", "case_pk"), Index("merger_master", "master_pk"))
    pk: int | None = _key()
    case_pk: int = _big()
    master_pk: int = _big()
    v_from: int = _big()
    v_to: int | None = _big(null=True)


class Waiting(DistrictRow, table=True):
    """An entry that came before its case."""

    __tablename__ = "waiting"
    __table_args__ = (Index("waiting_case", "case_id"), Index("waiting_open", "linked", "entry_pk"))
    entry_pk: int = Field(primary_key=True, sa_type=BIG)
    case_id: bytes = _bytes()
    linked: bool = Field(default=False)


class Change(DistrictRow, table=True):
    """The reverse delta of one update, and the write id, device and content hash of the state it replaced."""

    __tablename__ = "change"
    __table_args__ = (Index("change_doc", "doc_pk", "seq"),)
    pk: int | None = _key()
    doc_pk: int = _big()
    seq: int = _big()  # number of the update, not of the replaced state
    at: int = _big()
    actor: int | None = _big(null=True)  # who made the update
    by_device: int | None = _big(null=True)  # whose device made the update
    w: str | None = _text(null=True)
    device: int | None = _big(null=True)
    digest: bytes | None = _bytes(null=True)
    fields: str = _text()  # names of the changed fields, comma separated: needs no key
    delta: bytes = _bytes()


class Ledger(DistrictRow, table=True):
    """One overlapping edit: base, both values and the rule that decided (修改对照)."""

    __tablename__ = "ledger"
    __table_args__ = (Index("ledger_doc", "doc_pk"),)
    pk: int | None = _key()
    doc_pk: int = _big()
    seq: int = _big()
    at: int = _big()
    field: str = _text()
    rule: str = _text()
    state: str = _text("auto")
    user_pk: int | None = _big(null=True)
    device: int | None = _big(null=True)
    w: str | None = _text(null=True)
    other_device: int | None = _big(null=True)
    decided: str | None = _text(null=True)  # whose the winner is: mine (what was pushed) or theirs
    wrote_at: int | None = _big(null=True)  # when the phone wrote it, by its clock set right: an estimate
    other_user: int | None = _big(null=True)  # who wrote the value it met
    other_at: int | None = _big(null=True)  # when that had come
    payload: bytes = _bytes()
    decision: str | None = _text(null=True)  # take or leave
    decided_by: int | None = _big(null=True)
    decided_at: int | None = _big(null=True)


class Quarantine(DistrictRow, table=True):
    """What could not be applied and is kept for a person to look at (待核箱). The payload is sealed."""

    __tablename__ = "quarantine"
    __table_args__ = (
        Index("quarantine_state", "state", "pk"),
        Index("quarantine_doc", "doc_id"),
        _only("quarantine_case", "case_pk", where="case_pk is not null"),
        _only("quarantine_user", "user_pk", "state", where="user_pk is not null"),
        _only("quarantine_parent", "parent_id", where="parent_id is not null"),
        Index("quarantine_device", "device", "reason"),
    )
    pk: int | None = _key()
    id: str = _text()
    seq: int = _big()
    at: int = _big()
    reason: str = _text()
    user_pk: int | None = _big(null=True)
    device: int | None = _big(null=True)
    collection: int = _small()
    doc_id: str = _text()
    case_pk: int | None = _big(null=True)
    parent_id: str | None = _text(null=True)  # what it says it hangs on, whether that is here or not
    w: str | None = _text(null=True)
    dek: bytes | None = _bytes(null=True)
    payload: bytes = _bytes()
    state: str = _text("open")
    decided_by: int | None = _big(null=True)
    decided_at: int | None = _big(null=True)
    decision: bytes | None = _bytes(null=True)  # why it was discarded, sealed like the payload


class Audit(DistrictRow, table=True):
    """One chained record per request; personal values appear as keyed digests only."""

    __tablename__ = "audit"
    pk: int | None = _key()
    seq: int = _big()
    at: int = _big()
    actor: str = _text()
    action: str = _text()
    touched: str = _text()
    hash: bytes = _bytes()


class Erasure(DistrictRow, table=True):
    """A legal erasure: of what, why as a code, who asked and who decided; nothing about a person."""

    __tablename__ = "erasure"
    __table_args__ = (Index("erasure_state", "state", "swept"),)
    pk: int | None = _key()
    id: str = Field(sa_type=Text, unique=True)
    seq: int = _big()
    at: int = _big()
    collection: int = _small()
    doc_id: str = _text()
    reason: str = _text()
    state: str = _text("wanted")
    asked_by: str = _text()
    decided_by: str | None = _text(null=True)
    decided_at: int | None = _big(null=True)
    ids: str = _text("[]")  # collection and id of each document that went
    swept: bool = Field(default=False)  # nothing is left in free pages, in the log, in files


class QueryCode(DistrictRow, table=True):
    """The code on the receipt, as a keyed digest."""

    __tablename__ = "query_code"
    digest: bytes = Field(primary_key=True, sa_type=LargeBinary)
    case_pk: int = _big()


class Series(DistrictRow, table=True):
    """A running number, by kind and year."""

    __tablename__ = "series"
    name: str = Field(primary_key=True, sa_type=Text)
    value: int = _big(0)


# --- clocks ----------------------------------------------------------------------------------------------------------


class CaseClocks(DistrictRow, table=True):
    """Everything that runs on one case, in one row; only the next due instant is indexed."""

    __tablename__ = "case_clocks"
    __table_args__ = (_only("case_clocks_due", "next_due", where="next_due is not null"),)
    case_pk: int = Field(primary_key=True, sa_type=BIG)
    next_due: int | None = _big(null=True)
    state: bytes = _bytes()


class Firing(DistrictRow, table=True):
    """The fact that a step of a ladder took effect; its key makes it happen once."""

    __tablename__ = "firing"
    __table_args__ = (Index("firing_case", "case_pk"),)
    key: str = Field(primary_key=True, sa_type=Text)
    case_pk: int = _big()
    nominal_at: int = _big()
    fired_at: int = _big()
    outcome: str = _text()
    level_from: int = _small()
    level_to: int = _small()
    rules: str = _text()
    explain: bytes = _bytes()


class Escalation(DistrictRow, table=True):
    """A row of the leaders' queue."""

    __tablename__ = "escalation"
    __table_args__ = (Index("escalation_state", "state", "level"), Index("escalation_case", "case_pk"))
    pk: int | None = _key()
    id: str = Field(sa_type=Text, unique=True)
    case_pk: int = _big()
    level: int = _small()
    state: str = _text("open")
    opened_at: int = _big()
    key: str = _text()
    body: bytes = _bytes()  # reason, acknowledgement, instruction: JSON, without case content
    closed_at: int | None = _big(null=True)


# --- people, units, cells --------------------------------------------------------------------------------------------


class Account(DistrictRow, table=True):
    """Somebody who can sign in."""

    __tablename__ = "account"
    pk: int | None = _key()
    id: str = Field(sa_type=Text, unique=True)
    username: str = Field(sa_type=Text, unique=True)
    name: str = _text()
    password: str = _text()
    state: str = _text("active")
    not_before: int = _big(0)  # access tokens issued earlier are refused
    failed: int = Field(default=0)
    locked_until: int = _big(0)
    created_at: int = _big(0)


class Unit(DistrictRow, table=True):
    """An organisation that stands at one area of the layer."""

    __tablename__ = "unit"
    pk: int | None = _key()
    code: str = Field(sa_type=Text, unique=True)
    type: str = _text()
    name: str = _text()
    area: str = _text()
    level: int = _small()
    parent: str | None = _text(null=True)
    successor: str | None = _text(null=True)  # the unit that has this one's cells now


class Cell(DistrictRow, table=True):
    """A grid cell or an area above it; the code is for ever, the geometry belongs to a generation."""

    __tablename__ = "cell"
    pk: int | None = _key()
    code: str = Field(sa_type=Text, unique=True)
    name: str = _text()
    kind: str = _text()
    level: int = _small()
    parent: str | None = _text(null=True)
    generation: int = Field(default=0)  # the newest generation that holds it


class Generation(DistrictRow, table=True):
    """One edition of the layer of cells."""

    __tablename__ = "generation"
    number: int = Field(primary_key=True)
    state: str = _text("draft")
    name: str = _text("")
    created_at: int = _big()
    activated_at: int | None = _big(null=True)
    activated_seq: int | None = _big(null=True)
    retired_at: int | None = _big(null=True)
    layer: bytes = _bytes()
    report: bytes = _bytes()


class UnitCell(DistrictRow, table=True):
    """Which cells a unit has had, and when."""

    __tablename__ = "unit_cell"
    __table_args__ = (Index("unit_cell_unit", "unit_pk"),)
    pk: int | None = _key()
    unit_pk: int = _big()
    cell_pk: int = _big()
    v_from: int = _big()
    v_to: int | None = _big(null=True)


class Address(DistrictRow, table=True):
    """One line of the district's own list of addresses; the cell follows from the place and the edition in force."""

    __tablename__ = "address"
    __table_args__ = (
        UniqueConstraint("plain", "kind", name="address_plain"),
        Index("address_place", "lat", "lon"),
    )
    pk: int | None = _key()
    text: str = _text()  # as it was written
    plain: str = _text()  # its one form (`sync/address_text.py`)
    kind: str = _text()
    lon: int = Field()  # WGS-84, millionths of a degree
    lat: int = Field()
    source: str = _text("")


class AddressPair(DistrictRow, table=True):
    """Which of 8,192 addresses in a row hold a pair of signs: small rows, which only grow, and one scheme for all."""

    __tablename__ = "address_pair"
    pair: str = Field(primary_key=True, sa_type=Text)
    part: int = Field(primary_key=True)  # the key of an address, divided by 8,192
    count: int = Field()
    places: bytes = _bytes()  # the remainders, 16 bits each, rising


class Reassignment(DistrictRow, table=True):
    """Many documents on their way to other places: what moves, and how far it has come."""

    __tablename__ = "reassignment"
    __table_args__ = (Index("reassignment_state", "state", "pk"),)
    pk: int | None = _key()
    kind: str = _text()  # edition, unit, worker
    source: int | None = _big(null=True)  # a unit, a person; of an edition the last that it does not undo
    target: int | None = _big(null=True)  # a unit, a person; the edition's number
    plan: str = _text("{}")  # of an edition: the cell that has taken over from each vanished one
    asked_at: int = _big()
    actor: str = _text()
    state: str = _text("running")
    after: int = _big(0)  # keys up to here have been looked at
    upto: int = _big(0)  # what came later was placed by what holds now
    moved: int = _big(0)
    ended_at: int | None = _big(null=True)


class Moved(DistrictRow, table=True):
    """A document that an edition moved to another cell: why it lies there, and what to undo."""

    __tablename__ = "moved"
    __table_args__ = (Index("moved_doc", "doc_pk", "pk"),)
    pk: int | None = _key()
    reassignment: int = _big()
    doc_pk: int = _big()
    source: int | None = _big(null=True)
    target: int | None = _big(null=True)


class Grant(DistrictRow, table=True):
    """A role of a person at a unit or a cell; `stands_in_for` is the grant's owner when it is holiday cover."""

    __tablename__ = "grant_role"  # "grant" is a reserved word
    __table_args__ = (Index("grant_user", "user_pk"),)
    pk: int | None = _key()
    user_pk: int = _big()
    role: str = _text()
    unit_pk: int | None = _big(null=True)
    cell_pk: int | None = _big(null=True)
    stands_in_for: int | None = _big(null=True)
    v_from: int = _big()
    v_to: int | None = _big(null=True)
    until_at: int | None = _big(null=True)  # announced end; a job closes the row when it falls due


class Device(DistrictRow, table=True):
    """A phone or browser, registered once per user."""

    __tablename__ = "device"
    __table_args__ = (UniqueConstraint("id", "user_pk", name="device_user"),)
    pk: int | None = _key()
    id: str = _text()
    user_pk: int = _big()
    name: str = _text("")
    registered_seq: int = _big(0)
    created_at: int = _big(0)
    seen_at: int = _big(0)
    revoked_at: int | None = _big(null=True)
    # Wrong passwords from an enrolled device count here, so that a stranger cannot lock its owner out.
    failed: int | None = _big(null=True)
    locked_until: int | None = _big(null=True)
    marks: str = _text("{}")  # per collection: push_low, push_last_at
    state: str = _text("{}")  # what hello last told: versions, clock offset, pending counts
    contacts: str | None = _text(
        null=True
    )  # CL1: what its clock said at the last contacts, and what ours did


class DeviceKey(DistrictRow, table=True):
    """The key with which a device signs what it seals (SE3): a phone that was set up anew has another beside it."""

    __tablename__ = "device_key"
    __table_args__ = (UniqueConstraint("id", "device_pk", name="device_key_device"),)
    pk: int | None = _key()
    id: str = _text()
    device_pk: int = _big()
    public: bytes = _bytes()
    since_at: int = _big()


class SealedBundle(DistrictRow, table=True):
    """One sealed bundle as somebody handed it in: who carried it, and what came of it (SE7)."""

    __tablename__ = "sealed_bundle"
    __table_args__ = (
        Index("sealed_bundle_digest", "digest"),
        _only("sealed_bundle_counter", "device_pk", "counter", where="device_pk is not null"),
        _only("sealed_bundle_doc", "doc_id", where="doc_id is not null"),
    )
    pk: int | None = _key()
    digest: bytes = _bytes()  # of what was signed, or of the whole where nothing is proven
    device_pk: int | None = _big(null=True)  # of the author, once proven
    counter: int | None = _big(null=True)
    doc_id: str | None = _text(null=True)
    carrier: str = _text()  # as in the audit: user:<id>, cli:<os user>
    at: int = _big()
    outcome: str = _text()  # pushed, again, or why it was kept aside


class Session(DistrictRow, table=True):
    """A signed-in device: the current refresh secret and the one before it, as digests."""

    __tablename__ = "session"
    __table_args__ = (Index("session_user", "user_pk"),)
    pk: int | None = _key()
    id: str = Field(sa_type=Text, unique=True)
    user_pk: int = _big()
    device_pk: int = _big()
    current: bytes = _bytes()
    previous: bytes | None = _bytes(null=True)
    confirmed: bool = Field(default=False)  # the current secret has been used: the previous one is dead
    created_at: int = _big()
    rotated_at: int = _big()
    expires_at: int = _big()
    ended_at: int | None = _big(null=True)


# --- the bytes of files ----------------------------------------------------------------------------------------------


class Upload(DistrictRow, table=True):
    """Bytes that a phone is sending, or has sent and that wait for their document: open, complete, done or ended."""

    __tablename__ = "upload"
    __table_args__ = (
        Index("upload_device", "device_pk", "state"),
        Index("upload_state", "state", "expires_at"),
        Index("upload_file", "file_id", "state"),
    )
    id: str = Field(primary_key=True, sa_type=Text)
    file_id: bytes = _bytes()
    user_pk: int = _big()
    device_pk: int = _big()
    late: bool = Field(default=False)  # begun by a device that was stopped
    sha256: str = _text()  # of the whole, as the phone told it
    length: int = _big()
    received: int = _big(0)
    parts: str = _text("[]")  # where each part begins and the name it has in the store, as JSON
    dek: bytes = _bytes()  # the parts' key, wrapped; empty once nobody is to read them again
    told: bytes = _bytes()  # Upload-Metadata as it was sent, sealed
    state: str = _text("open")
    created_at: int = _big()
    expires_at: int = _big()


class Blob(DistrictRow, table=True):
    """The bytes of a verified file: held, dropped (nobody may read them), deleting, or deleted.

    `address` is a keyed digest of content and data key: the same bytes lie once within what one key seals, and nobody
    can ask the store whether it has something.
    """

    __tablename__ = "blob"
    __table_args__ = (
        Index("blob_doc", "doc_pk"),
        Index("blob_address", "address"),
        Index("blob_state", "state"),
    )
    pk: int | None = _key()
    doc_pk: int = _big()
    address: str = _text()
    sha256: str = _text()  # of what is kept, which is not what was sent where a picture was written anew
    size: int = _big()
    thumbnail: int = _big(0)  # bytes of the small picture, 0 where there is none
    mime: str = _text()
    state: str = _text("held")
    stored_at: int = _big()  # when the bytes came; of bytes that are being deleted, when that began


# --- rules and settings ----------------------------------------------------------------------------------------------


class Rules(DistrictRow, table=True):
    """One version of the district's escalation rules."""

    __tablename__ = "rules"
    version: int = Field(primary_key=True)
    state: str = _text("draft")
    sha256: str = _text()
    source: str = _text()
    activated_at: int | None = _big(null=True)
    activated_by: str | None = _text(null=True)


class CalendarRow(DistrictRow, table=True):
    """One version of one calendar."""

    __tablename__ = "calendar"
    pk: int | None = _key()
    name: str = _text()
    source: str = _text()
    loaded_at: int = _big()


class Setting(DistrictRow, table=True):
    """A setting of the district, as JSON."""

    __tablename__ = "setting"
    name: str = Field(primary_key=True, sa_type=Text)
    value: str = _text()


# --- the directory ---------------------------------------------------------------------------------------------------


class District(DirectoryRow, table=True):
    """One district: the unit of isolation and of scale."""

    __tablename__ = "district"
    code: str = Field(primary_key=True, sa_type=Text)
    name: str = _text()
    short_name: str = _text()
    state: str = _text("active")
    demo: bool = Field(default=False)
    test: bool = Field(default=False)
    schema_version: str = _text()
    created_at: int = _big()
