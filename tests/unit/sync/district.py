"""A small district in one process: nine square cells, two communities, the people of every desk, phones.

The core is the real one on a real SQLite file; only time, ids and chance come from here.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import uuid
from importlib import resources
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap
from shapely import box, union_all
from shapely.geometry import mapping

from geo.layer import read_geojson
from geo.points import Crs
from sync import administration, content, generations
from sync.acting_work import act_work
from sync.commit import Context, commit_group
from sync.config import ConfigCache
from sync.firing import tick_work
from sync.pull import Caller, pull
from sync.push import push_work
from sync.queue_work import queue_act_work
from sync.reassign import Budget, reassign_work
from sync.sql_store import SqlStore
from sync.tables import DistrictRow
from sync.values import Collection

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sync.commit import Work
    from sync.config import Config
    from sync.firing import Ticked
    from sync.values import Doc

DISTRICT = "410399"
STREET = "410399001"
FIRST, SECOND = "410399001001", "410399001002"  # the two communities
SQUARES = 3
CELLS = tuple(
    (FIRST if number < 6 else SECOND)
    + f"{number % 6 + 1:03d}"  # two rows belong to one community, one to the other
    for number in range(SQUARES * SQUARES)
)
HOME, NEXT, FAR = CELLS[0], CELLS[1], CELLS[8]
WEST, SOUTH, STEP_X, STEP_Y = 112.40, 34.66, 0.0011, 0.0009  # squares of about 100 m
NINE_ON_MONDAY = 1_795_395_600_000  # 23 November 2026, 09:00
HOUR = 3_600_000
DAY = 24 * HOUR

UNITS = (
    administration.UnitRecord("S1", "community_station", "甲社区", FIRST, 1),
    administration.UnitRecord("S2", "community_station", "乙社区", SECOND, 1),
    administration.UnitRecord("STREET", "street_centre", "街道综治中心", STREET, 2),
    administration.UnitRecord("JUSTICE", "justice_office", "司法所", STREET, 2),
    administration.UnitRecord("CENTRE", "district_centre", "区矛调中心", DISTRICT, 3),
)
PEOPLE: dict[str, tuple[str, str]] = {
    "an": ("grid_worker", HOME),
    "bo": ("grid_worker", HOME),
    "cui": ("grid_worker", NEXT),
    "long": ("grid_leader", HOME),
    "officer": ("community_officer", "S1"),
    "secretary": ("community_leader", "S1"),
    "street": ("street_leader", "STREET"),
    "head": ("district_leader", "CENTRE"),
    "clerk": ("clerk", "CENTRE"),
    "dispatcher": ("dispatcher", "CENTRE"),
    "director": ("centre_director", "CENTRE"),
    "manager": ("unit_manager", "JUSTICE"),
    "mediator": ("mediator", "JUSTICE"),
    "auditor": ("auditor", "CENTRE"),
}


class SeededChance:
    """Ids and keys that repeat; `percent` is what the test says."""

    def __init__(self, seed: int = 7) -> None:
        self._random = random.Random(seed)
        self.sample = 50

    def uuid7(self, at: int) -> str:
        value = (at << 80) | (7 << 76) | (self._random.getrandbits(12) << 64) | (2 << 62)
        return str(uuid.UUID(int=value | self._random.getrandbits(62)))

    def bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def percent(self) -> int:
        return self.sample


class RealKeys:
    """A district key that really seals: what is looked for in the file must not be found by chance."""

    def __init__(self) -> None:
        self._key = hashlib.sha256(b"district").digest()[:16]

    def wrap(self, dek: bytes) -> bytes:
        return aes_key_wrap(self._key, dek)

    def unwrap(self, wrapped: bytes) -> bytes:
        return aes_key_unwrap(self._key, wrapped)

    def digest(self, value: bytes) -> bytes:
        return hashlib.sha256(self._key + value).digest()[:16]


def middle_of(cell: str, **over: Any) -> dict[str, Any]:
    """A good fix in the middle of a cell."""
    row, column = divmod(CELLS.index(cell), SQUARES)
    return {
        "lon": WEST + (column + 0.5) * STEP_X,
        "lat": SOUTH + (row + 0.5) * STEP_Y,
        "crs": "wgs84",
        "accuracy_m": 5,
        "confidence": 95,
        "source": "map_pin",
    } | over


def layer_of(owner: dict[str, str] | None = None) -> Any:
    """The nine squares; `owner` gives squares, by the code of their first owner, another code: these become one."""
    squares: dict[str, list[Any]] = {}
    for number, first in enumerate(CELLS):
        row, column = divmod(number, SQUARES)
        west, east = (round(WEST + (column + side) * STEP_X, 7) for side in (0, 1))
        south, north = (round(SOUTH + (row + side) * STEP_Y, 7) for side in (0, 1))
        squares.setdefault((owner or {}).get(first, first), []).append(box(west, south, east, north))
    features = [
        {
            "type": "Feature",
            "properties": {"code": code, "name": f"第{code[-3:]}网格"},
            "geometry": mapping(union_all(parts)),
        }
        for code, parts in squares.items()
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    reading = read_geojson(text.encode(), Crs.WGS84)
    assert reading.layer is not None, reading
    return reading.layer


def user_id(name: str) -> str:
    number = list(PEOPLE).index(name) + 1 if name in PEOPLE else int.from_bytes(name.encode()) + 1000
    return str(uuid.UUID(int=(7 << 76) | (2 << 62) | number))


def data_text(name: str) -> str:
    return (resources.files("sync.cases") / "data" / name).read_text(encoding="utf-8")


def make_district(path: Path, *, store: SqlStore | None = None) -> None:
    """Cells, units, people, rules, calendars: made once a run, copied for each test."""
    district = District(path, fresh=True, store=store)
    works: list[Work[Any]] = [
        generations.add_generation(layer_of()),
        generations.activate_generation(1),
        administration.import_units(UNITS),
        administration.load_ruleset(data_text("rules_default.toml")),
        administration.load_calendar(data_text("calendar_weekdays.toml")),
        administration.load_calendar(data_text("calendar_always.toml")),
        administration.put_settings({"short_name": "涧东", "sealed_clerk": "clerk"}),
    ]
    works += [administration.add_account(name, name, "-", user_id=user_id(name)) for name in PEOPLE]
    for name, (role, where) in PEOPLE.items():
        cell, unit = (where, None) if where in CELLS else (None, where)
        works.append(administration.grant_role(name, role, cell=cell, unit=unit))
    for work in [*works, reassign_work(Budget())]:
        district.commit(work)
    district.store.settle()
    district.close()


class District:
    """One district on one file, or on the `store` that is given."""

    def __init__(
        self,
        path: Path,
        *,
        template: Path | None = None,
        fresh: bool = False,
        store: SqlStore | None = None,
    ) -> None:
        if template is not None:
            shutil.copy(template, path)
        self.path = path
        self.store = SqlStore.sqlite(path) if store is None else store
        if fresh:
            self.store.create()
        self.chance = SeededChance()
        self.keys = RealKeys()
        self.configs = ConfigCache(DISTRICT)
        self.now = NINE_ON_MONDAY
        self.sent: list[bytes] = []  # everything that ever left by sync
        self._phones: dict[tuple[str, str], Phone] = {}
        with self.store.read() as reader:
            self.users = {row["username"]: row["pk"] for row in reader.find("account")}
            self.cells = {row["code"]: row["pk"] for row in reader.find("cell")}

    def close(self) -> None:
        self.store.close()

    # --- the door ----------------------------------------------------------------------------------------------------

    def context(self, actor: str = "test") -> Context:
        return Context(self.now, self.now, self.chance, self.keys, self.configs, actor)

    def commit(self, work: Work[Any]) -> Any:
        return commit_group(self.store, [(work, self.context())])[0].result()

    def tick(self) -> int:
        """Let everything take effect that is due now; how many firings."""
        fired = 0
        while True:
            ticked: Ticked = self.commit(tick_work())
            fired += ticked.fired
            if not ticked.more:
                return fired

    def act(self, who: str, case_id: str, act: str, **args: Any) -> Any:
        """An act at a desk."""
        return self.commit(act_work(self.caller(who, "desk"), case_id, act, args))

    def act_on_row(self, who: str, row_id: str, act: str, **args: Any) -> Any:
        return self.commit(queue_act_work(self.caller(who, "desk"), row_id, act, args))

    def newcomer(self, who: str, role: str, **where: Any) -> None:
        """Somebody whom not every test needs."""
        self.commit(administration.add_account(who, who, "-", user_id=user_id(who)))
        self.users[who] = self.rows("account", username=who)[0]["pk"]
        self.grant(who, role, **where)

    def grant(self, who: str, role: str, **where: Any) -> None:
        self.commit(administration.grant_role(who, role, **where))

    def end_grant(self, who: str, **where: Any) -> None:
        self.commit(administration.end_grant(who, **where))

    # --- phones ------------------------------------------------------------------------------------------------------

    def phone(self, who: str, device: str | None = None) -> Phone:
        """The phone of a person; another `device` is another phone."""
        key = (who, device or f"phone-{who}")
        if key not in self._phones:
            self._phones[key] = Phone(self, *key)
        return self._phones[key]

    def caller(self, who: str, device: str, told: int | None = None) -> Caller:
        def register(tx: Any, context: Context) -> None:
            if not tx.find("device", {"id": device, "user_pk": self.users[who]}):
                tx.add(
                    "device",
                    {
                        "id": device,
                        "user_pk": self.users[who],
                        "name": device,
                        "registered_seq": tx.head().seq,
                        "created_at": context.wall,
                        "seen_at": context.wall,
                        "marks": "{}",
                        "state": "{}",
                    },
                )

        self.store.write(lambda tx: register(tx, self.context()))
        row = self.rows("device", id=device, user_pk=self.users[who])[0]
        marks = {name: (low, at) for name, (low, at) in json.loads(row["marks"]).items()}
        return Caller(
            self.users[who],
            user_id(who),
            who,
            row["pk"],
            device,
            row["registered_seq"],
            marks,
            told=told,
        )

    # --- looking into the store --------------------------------------------------------------------------------------

    def rows(self, table: str, **where: Any) -> list[dict[str, Any]]:
        with self.store.read() as reader:
            return reader.find(table, where)

    def config(self) -> Config:
        with self.store.read() as reader:
            return self.configs.get(reader)

    def row(self, collection: str, key: str) -> Doc:
        """The stored row of a document."""
        with self.store.read() as reader:
            number = Collection[collection]
            return reader.documents(number, [content.id_bytes(number, key)])[0]

    def whole(self, collection: str, key: str) -> dict[str, Any]:
        """Everything the server knows of a document."""
        return content.whole(self.row(collection, key), self.keys)

    def documents(self, collection: str) -> list[dict[str, Any]]:
        """Every living document of a collection, whole."""
        with self.store.read() as reader:
            rows = reader.find(
                "document", {"collection": int(Collection[collection]), "gone": None}, columns=["pk"]
            )
            docs = reader.documents_by_pk([row["pk"] for row in rows])
        return [content.whole(doc, self.keys) for doc in docs]

    def entries_of(self, case_id: str, kind: str | None = None) -> list[dict[str, Any]]:
        found = [entry for entry in self.documents("entries") if entry["case_id"] == case_id]
        return [entry for entry in found if kind is None or entry["type"] == kind]

    def notices_of(self, who: str, kind: str | None = None) -> list[dict[str, Any]]:
        found = [notice for notice in self.documents("notices") if notice["user"] == user_id(who)]
        return [notice for notice in found if kind is None or notice["kind"] == kind]

    def tasks_of(self, case_id: str, kind: str) -> list[dict[str, Any]]:
        return [t for t in self.documents("tasks") if t.get("case_id") == case_id and t["type"] == kind]

    def ledger(self, doc_id: str, collection: str = "cases") -> list[dict[str, Any]]:
        """The lines of the ledger of a document, opened."""
        doc = self.row(collection, doc_id)
        label = content.label_of(doc.collection, doc.id) + b"ledger"
        return [
            line | {"values": json.loads(content.unseal(self.keys, doc.dek, line["payload"], label))}
            for line in self.rows("ledger", doc_pk=doc.pk)
        ]

    def kept_aside(self, **where: Any) -> list[dict[str, Any]]:
        """What lies in quarantine, opened."""
        return [
            row
            | {
                "content": json.loads(
                    content.unseal(self.keys, row["dek"], row["payload"], row["id"].encode())
                )
            }
            for row in self.rows("quarantine", **where)
        ]

    def bytes_on_disk(self) -> bytes:
        """The database file and its log, as somebody would find them who steals the disk; on PostgreSQL the rows."""
        if self.store.postgres:
            with self.store.read() as reader:
                rows = [row for table in DistrictRow.metadata.tables for row in reader.find(table)]
            values = [value for row in rows for value in row.values()]
            return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)
        return b"".join(path.read_bytes() for path in sorted(self.path.parent.glob(self.path.name + "*")))

    def who_sees(self, case_id: str, people: Iterable[str] = tuple(PEOPLE)) -> set[str]:
        """Whose new phone would be sent the case."""
        return {name for name in people if case_id in Phone(self, name, f"new-{name}").pull("cases")}


class Phone:
    """A phone as far as the protocol goes: it pushes, pulls, and keeps what it was sent."""

    def __init__(self, district: District, who: str, device: str) -> None:
        self.district = district
        self.who = who
        self.device = device
        self.held: dict[str, dict[str, dict[str, Any]]] = {}
        self.told: int | None = None  # the version its app speaks, if it says so
        self.points: dict[str, Any] = {}
        self._counter = 0
        district.caller(who, device)  # first contact: what was before it is not told

    def next_w(self) -> str:
        self._counter += 1
        return f"{self._counter}:{self.district.chance.uuid7(self.district.now)}"

    def new(self, **fields: Any) -> dict[str, Any]:
        """A case as the form leaves it."""
        return {
            "id": self.district.chance.uuid7(self.district.now),
            "kind": "dispute",
            "category": "0201",
            "title": "三楼漏水到二楼",
            "captured_at": self.district.now,
            "location": middle_of(HOME),
            "w": self.next_w(),
        } | fields

    def entry(self, case_id: str, kind: str = "note", body: Any = None, **fields: Any) -> dict[str, Any]:
        return {
            "id": self.district.chance.uuid7(self.district.now),
            "case_id": case_id,
            "type": kind,
            "at": self.district.now,
            "body": {"text": "已上门了解"} if body is None else body,
            "w": self.next_w(),
        } | fields

    def push_rows(self, collection: str, rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Push rows as they are; the answer by id."""
        return self.push_bytes(collection, json.dumps(rows, ensure_ascii=False).encode())

    def push_bytes(self, collection: str, body: bytes) -> dict[str, dict[str, Any]]:
        work = push_work(self.caller(), Collection[collection], body)
        answer: bytes = self.district.commit(work)
        self.district.sent.append(answer)
        answered = {doc["id"]: doc for doc in json.loads(answer)}
        self._keep(collection, answered.values())
        return answered

    def push(
        self, collection: str, *docs: dict[str, Any], base: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Push documents; the answer to the first (None: as sent)."""
        rows = [
            {"newDocumentState": doc} | ({} if base is None else {"assumedMasterState": base}) for doc in docs
        ]
        return self.push_rows(collection, rows).get(docs[0]["id"], docs[0])

    def capture(self, **fields: Any) -> dict[str, Any]:
        """A new case, acknowledged: the master."""
        return self.push("cases", self.new(**fields))

    def edit(self, master: dict[str, Any], *, w: str | None = None, **changes: Any) -> dict[str, Any]:
        """An edit of the case as this phone last saw it: the answer."""
        changed = master | changes | {"w": w or self.next_w()}
        return self.push("cases", changed, base=master)

    def caller(self) -> Caller:
        return self.district.caller(self.who, self.device, self.told)

    def pull(self, collection: str, *, limit: int = 100, pages: int = 1_000) -> dict[str, dict[str, Any]]:
        """Pull until nothing is due, or for so many pages; everything the phone then holds."""
        for _ in range(pages):
            caller = self.caller()
            with self.district.store.read() as reader:
                config = self.district.configs.get(reader)
                page = pull(
                    reader,
                    config,
                    caller,
                    Collection[collection],
                    self.points.get(collection),
                    limit,
                    keys=self.district.keys,
                    now=self.district.now,
                )
            self.district.sent.append(page.body)
            answer = json.loads(page.body)
            if not answer["documents"]:
                return self.held.get(collection, {})
            self.points[collection] = (self.points.get(collection) or {}) | answer["checkpoint"]
            self._keep(collection, answer["documents"])
        return self.held.get(collection, {})

    def _keep(self, collection: str, documents: Iterable[dict[str, Any]]) -> None:
        held = self.held.setdefault(collection, {})
        for doc in documents:
            if doc.get("_deleted"):
                held.pop(doc["id"], None)
            else:
                held[doc["id"]] = doc
