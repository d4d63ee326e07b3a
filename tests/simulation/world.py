"""The real core on a real database, as the simulation needs it; ids, chance and time come from the seed."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import random
import shutil
import tempfile
import uuid
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from geo.layer import read_geojson
from geo.points import Crs
from sync import (
    administration,
    content,
    directives,
    erasing,
    generations,
    hello,
    homes_work,
    pull as pulling,
    reassign,
    reconcile,
    upkeep,
)
from sync.cases import lifecycle
from sync.commit import Context, commit_group, write
from sync.config import ConfigCache
from sync.facts import Facts, load_cases
from sync.pull import Caller, pull
from sync.push import push_work
from sync.sql_store import SqlStore
from sync.values import CLASSES, Collection

if TYPE_CHECKING:
    from collections.abc import Callable

    from sync.batch import Batch, Item
    from sync.commit import Work
    from sync.store import Tx
    from sync.values import Doc

DISTRICT = "410399"
CELLS = ("410399001001001", "410399001001002", "410399001002001", "410399001002002")
AREAS = ("410399001001", "410399001002")  # two communities of two cells each
OUTSIDE = "outside"
UNITS = {"community": AREAS[0], "mediation": DISTRICT, "centre": DISTRICT}
USERS = ("an", "bo", "cui", "ding")
_WEST, _SOUTH, _STEP_X, _STEP_Y = 112.4, 34.66, 0.0011, 0.0009
START = 1_800_000_000_000


class SeededChance:
    """Ids and keys that a seed repeats."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def uuid7(self, at: int) -> str:
        value = (at << 80) | (7 << 76) | (self._random.getrandbits(12) << 64) | (2 << 62)
        return str(uuid.UUID(int=value | self._random.getrandbits(62)))

    def bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def percent(self) -> int:
        return self._random.randrange(100)


class OpenKeys:
    """A district key that keeps nothing secret: the simulation looks into everything."""

    def wrap(self, dek: bytes) -> bytes:
        return b"wrapped:" + dek

    def unwrap(self, wrapped: bytes) -> bytes:
        return wrapped.removeprefix(b"wrapped:")

    def digest(self, value: bytes) -> bytes:
        return hashlib.sha256(value).digest()[:16]


def middle_of(cell: str) -> dict[str, Any]:
    """A good fix in the middle of a cell."""
    row, column = divmod(CELLS.index(cell), 2)
    return {
        "lon": _WEST + (column + 0.5) * _STEP_X,
        "lat": _SOUTH + (row + 0.5) * _STEP_Y,
        "crs": "wgs84",
        "accuracy_m": 5,
        "confidence": 95,
        "source": "map_pin",
    }


def _layer(*, merged: bool = False) -> Any:
    """Four squares; `merged`: the ground of the first is the second's."""
    features = []
    for number, code in enumerate(CELLS):
        if merged and number == 0:
            continue
        row, column = divmod(number, 2)
        west, south = _WEST + column * _STEP_X, _SOUTH + row * _STEP_Y
        east, north = west + _STEP_X, south + _STEP_Y
        if merged and number == 1:
            west = _WEST
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        properties = {"code": code, "name": f"格{number}"}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    reading = read_geojson(
        json.dumps({"type": "FeatureCollection", "features": features}).encode(), Crs.WGS84
    )
    assert reading.layer is not None
    return reading.layer


def quick_folder() -> Path:
    """A folder in memory where the machine has one: thousands of small commits wait for no disk there."""
    memory = Path("/dev/shm")  # noqa: S108  # only ever a folder of our own inside it
    return Path(tempfile.mkdtemp(prefix="wangge-sim-", dir=memory if memory.is_dir() else None))


@cache
def _template() -> Path:
    """A district with cells, units and four people, made once a process and copied for each seed."""
    folder = quick_folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "template.db"
    store = SqlStore.sqlite(path)
    populate(store)
    with store.engine.connect() as connection:
        connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
    store.close()
    return path


def populate(store: SqlStore) -> None:
    """Cells, units, people."""
    store.create()
    context = Context(START, START, SeededChance(0), OpenKeys(), ConfigCache(DISTRICT))
    works: list[Work[Any]] = [
        generations.add_generation(_layer()),
        generations.activate_generation(1),
        administration.import_units(
            administration.UnitRecord(
                code, "community_station" if code == "community" else "mediation_committee", code, area, level
            )
            for (code, area), level in zip(UNITS.items(), (1, 3, 3), strict=True)
        ),
    ]
    works += [administration.add_account(name, name, "-", user_id=user_id(name)) for name in USERS]
    for work in works:
        commit_group(store, [(work, context)])[0].result()


def user_id(name: str) -> str:
    return str(uuid.UUID(int=(7 << 76) | (2 << 62) | (USERS.index(name) + 1)))


class World:
    """One district on one store."""

    def __init__(self, seed: int, store: SqlStore | None = None) -> None:
        self.folder: Path | None = None
        if store is None:
            self.folder = quick_folder()
            shutil.copy(_template(), self.folder / "d.db")
            store = SqlStore.sqlite(self.folder / "d.db")
        self.store = store
        self.chance = SeededChance(seed)
        self.keys = OpenKeys()
        self.configs = ConfigCache(DISTRICT)
        self.now = START
        self.operations = 0  # what was asked of the core, and what people did
        self.epoch = 1
        self.server_page = pulling.PAGE_DOCS  # documents on a page that the server sizes
        self.batch = pulling.BATCH  # candidates it looks at in one go
        with store.read() as reader:
            self.users: dict[str, int] = {row["username"]: row["pk"] for row in reader.find("account")}
            self.cells: dict[str, int] = {row["code"]: row["pk"] for row in reader.find("cell")}
            self.units = {row["code"]: row["pk"] for row in reader.find("unit")}

    def close(self) -> None:
        self.store.close()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- the door -----------------------------------------------------------------------------------------

    def context(self) -> Context:
        return Context(self.now, self.now, self.chance, self.keys, self.configs)

    def commit(self, work: Work[Any]) -> Any:
        self.operations += 1
        return commit_group(self.store, [(work, self.context())])[0].result()

    def head(self) -> int:
        with self.store.read() as reader:
            return reader.head().seq

    def new_id(self) -> str:
        return self.chance.uuid7(self.now)

    # --- phones -------------------------------------------------------------------------------------------

    def register(self, device: str, user: str, *, registered: int | None = None) -> int:
        """First contact of a device; returns the number it is registered at."""

        def work(tx: Tx, context: Context) -> int:
            at = tx.head().seq if registered is None else registered
            tx.add(
                "device",
                {
                    "id": device,
                    "user_pk": self.users[user],
                    "name": device,
                    "registered_seq": at,
                    "created_at": context.wall,
                    "seen_at": context.wall,
                    "marks": "{}",
                    "state": "{}",
                },
            )
            return at

        return int(self.commit(work))

    def caller(self, device: str, user: str) -> Caller:
        with self.store.read() as reader:
            row = reader.find("device", {"id": device, "user_pk": self.users[user]})[0]
        return Caller(
            user_pk=self.users[user],
            user_id=user_id(user),
            user_name=user,
            device_pk=row["pk"],
            device_id=device,
            registered=row["registered_seq"],
            marks={name: (low, at) for name, (low, at) in json.loads(row["marks"]).items()},
        )

    def pull(self, device: str, user: str, collection: str, checkpoint: Any, limit: int) -> tuple[int, bytes]:
        """One page, and the head it was made at."""
        self.operations += 1
        caller = self.caller(device, user)
        # only for this page: other tests of the process have the server's own sizes
        with (
            patch.object(pulling, "PAGE_DOCS", self.server_page),
            patch.object(pulling, "BATCH", self.batch),
            self.store.read() as reader,
        ):
            config = self.configs.get(reader)
            page = pull(
                reader,
                config,
                caller,
                Collection[collection],
                checkpoint,
                limit,
                keys=self.keys,
                now=self.now,
            )
            return reader.head().seq, page.body

    def push(self, device: str, user: str, collection: str, body: bytes) -> tuple[int, bytes]:
        """The answer, and the head after it."""
        work = push_work(self.caller(device, user), Collection[collection], body)
        answer = self.commit(work)
        return self.head(), answer

    # --- people and units ---------------------------------------------------------------------------------

    def grant(self, user: str, role: str, **where: Any) -> int:
        self.commit(administration.grant_role(user, role, **where))
        return self.head()

    def end_timed_grants(self) -> int:
        return int(self.commit(upkeep.end_timed_grants()))

    def link_waiting(self) -> int:
        return int(self.commit(upkeep.link_waiting()).found)

    def end_grant(self, user: str, role: str, *, unit: str | None = None, cell: str | None = None) -> int:
        self.commit(administration.end_grant(user, role, unit=unit, cell=cell))
        return self.head()

    def move_unit(self, unit: str, area: str) -> int:
        """The unit stands at another area from now on: its cells change with it."""
        record = administration.UnitRecord(unit, "community_station", unit, area, 1)
        self.commit(administration.import_units([record]))
        return self.head()

    # --- cases --------------------------------------------------------------------------------------------

    def on_case(self, key: str, change: Callable[[Batch, Facts, Item], None], action: str) -> int:
        """One act on one case, through the functions and the door that every act goes through."""

        def work(tx: Tx, context: Context) -> int:
            doc = tx.documents(Collection.cases, [uuid.UUID(key).bytes])[0]
            facts = Facts(tx.head(), context.configs.get(tx), context.keys)
            facts.learn([doc])
            load_cases(tx, facts, [doc])
            batch = administration.new_batch(tx, context)
            change(batch, facts, batch.take(doc))
            return write(tx, batch, context, action)

        return int(self.commit(work))

    def order(self, key: str, directive: Any) -> int:
        """What an act of the lifecycle orders about places and people."""
        return self.on_case(
            key,
            lambda batch, facts, item: directives.follow(batch, facts, item, directive),
            type(directive).__name__,
        )

    def move(self, key: str, cell: str) -> int:
        """A person, or a new generation, puts the case into another cell."""
        return self.order(key, lifecycle.SetPlace(cell=cell, location=None, evidence=None))

    def hand_to(self, key: str, unit: str | None, user: str | None) -> int:
        if unit is None:
            return self.order(key, lifecycle.ClearHandler())
        return self.order(key, lifecycle.Dispatch(unit=unit, user=user_id(user) if user else None))

    def recuse(self, key: str, user: str) -> int:
        return self.order(key, lifecycle.Recuse(user=user_id(user)))

    def lift(self, key: str, user: str) -> int:
        return self.order(key, lifecycle.LiftRecusal(user=user_id(user)))

    def name(self, key: str, user: str) -> int:
        return self.order(key, lifecycle.Name(user=user_id(user)))

    def unname(self, key: str, user: str) -> int:
        return self.order(key, lifecycle.Unname(user=user_id(user)))

    def set_class(self, key: str, klass: int) -> int:
        return self.order(key, lifecycle.SetClass(CLASSES[klass]))

    def set_status(self, key: str, status: str) -> int:
        """As an act of the lifecycle leaves it."""
        return self.on_case(key, lambda batch, _, item: batch.set(item, {"status": status}), "status")

    def merge_into(self, key: str, master: str) -> int:
        """As the act `merge` leaves it: the status says so, and entries go on with the master."""

        def change(batch: Batch, facts: Facts, item: Item) -> None:
            batch.set(item, {"status": "merged"})
            directives.follow(batch, facts, item, lifecycle.MergeInto(case_id=master))

        return self.on_case(key, change, "merge")

    def erase(self, key: str, collection: str = "cases") -> int:
        self.commit(erasing.erase_work(Collection[collection], key))
        return self.head()

    # --- homes, editions, re-assignments ------------------------------------------------------------------

    def add_home(self, cell: str) -> str:
        (key,) = self.commit(homes_work.add_households([{"id": self.new_id(), "cell": cell}]))
        return str(key)

    def open_visit(self, home: str) -> None:
        self.commit(homes_work.open_visits([home], due=self.now))

    def new_edition(self, *, merged: bool) -> None:
        number = self.commit(generations.add_generation(_layer(merged=merged)))
        self.commit(generations.activate_generation(number))

    def hand_over(self, source: str, target: str) -> None:
        self.commit(reassign.hand_over_worker(source, target))

    def reassign(self, rows: int) -> reassign.Piece:
        piece: reassign.Piece = self.commit(reassign.reassign_work(reassign.Budget(rows)))
        return piece

    def die_in_a_piece(self) -> None:
        """The process ends inside the transaction of a piece, or after it had done all but the commit."""
        self._die_after(reassign.reassign_work(reassign.Budget(3)))

    def die_in_a_push(self, device: str, user: str, collection: str, body: bytes) -> None:
        self._die_after(push_work(self.caller(device, user), Collection[collection], body))

    def _die_after(self, work: Work[Any]) -> None:
        def dies(tx: Tx) -> None:
            work(tx, self.context())
            raise InterruptedError

        with contextlib.suppress(InterruptedError):
            self.store.write(dies)
        self.configs = ConfigCache(DISTRICT)

    # --- backups --------------------------------------------------------------------------------------------

    def back_up(self) -> Path:
        """A copy of the database as it stands."""
        assert self.folder is not None
        target = self.folder / f"backup-{self.head()}-{self.now}.db"
        target.unlink(missing_ok=True)
        with self.store.engine.connect() as connection:
            connection.exec_driver_sql("vacuum into ?", (str(target),))
        return target

    def restore(self, backup: Path) -> int:
        """The old process ends, the copy takes its place under a new epoch; returns the number restored to."""
        assert self.folder is not None
        self.store.close()
        for name in ("d.db", "d.db-wal", "d.db-shm"):
            (self.folder / name).unlink(missing_ok=True)
        shutil.copy(backup, self.folder / "d.db")
        self.store = SqlStore.sqlite(self.folder / "d.db")
        self.configs = ConfigCache(DISTRICT)
        self.epoch += 1

        def work(tx: Tx) -> int:
            head = tx.head().seq
            tx.new_epoch(self.epoch)
            tx.insert("epoch", [{"epoch": self.epoch, "restored_to": head}])
            return head

        return self.store.write(work)

    def knows(self, device: str, user: str) -> bool:
        with self.store.read() as reader:
            return bool(reader.find("device", {"id": device, "user_pk": self.users[user]}))

    def hello(self, device: str, user: str) -> dict[str, Any]:
        caller = self.caller(device, user)
        with self.store.read() as reader:
            config = self.configs.get(reader)
            return hello.answer(reader, config, caller, {}, wall=self.now, monotonic=self.now, words={})

    def reconcile(self, device: str, user: str, collection: str, epoch: int, ids: list[str]) -> list[str]:
        """Those of `ids` that the phone may not hold."""
        self.operations += 1
        caller = self.caller(device, user)
        with self.store.read() as reader:
            config = self.configs.get(reader)
            asked = {"epoch": epoch, "ids": ids}
            gone: list[str] = reconcile.answer(
                reader, config, caller, Collection[collection], asked, keys=self.keys
            )["gone"]
            return gone

    # --- looking into the store ---------------------------------------------------------------------------

    def truth(self, collection: str, key: str) -> dict[str, Any] | None:
        """The whole document as the server would send it; None if there is none."""
        with self.store.read() as reader:
            docs = reader.documents(Collection[collection], [uuid.UUID(key).bytes])
            return content.wire_values(docs[0], self.keys) if docs else None

    def row(self, collection: str, key: str) -> Doc:
        with self.store.read() as reader:
            return reader.documents(Collection[collection], [uuid.UUID(key).bytes])[0]

    def cell_code(self, pk: int | None) -> str:
        return next((code for code, known in self.cells.items() if known == (pk or 0)), "")

    def user_name(self, pk: int | None) -> str:
        return next((name for name, known in self.users.items() if known == pk), "")

    def id_of(self, pk: int | None) -> str | None:
        with self.store.read() as reader:
            docs = reader.documents_by_pk([] if pk is None else [pk])
        return content.id_text(docs[0].collection, docs[0].id) if docs else None

    def made_since(self, n: int) -> list[tuple[Doc, dict[str, Any]]]:
        """Tasks and notices that are new or were changed after number `n`."""
        kinds = [int(Collection.tasks), int(Collection.notices)]
        with self.store.read() as reader:
            rows = reader.find("document", {"seq__gt": n, "collection": kinds}, order=["pk"], columns=["pk"])
            docs = reader.documents_by_pk([row["pk"] for row in rows])
        return [(doc, content.wire_values(doc, self.keys)) for doc in docs]

    def every_document(self) -> list[Doc]:
        with self.store.read() as reader:
            pks = [row["pk"] for row in reader.find("document", columns=["pk"])]
            return reader.documents_by_pk(pks)

    def kept(self) -> str:
        """All that is kept of anything anybody typed: documents, history, ledger, quarantine."""
        docs = {doc.pk: doc for doc in self.every_document()}
        texts = [json.dumps(content.whole(doc, self.keys)) for doc in docs.values() if doc.gone is None]
        with self.store.read() as reader:
            changes, ledger = reader.find("change"), reader.find("ledger")
            aside = reader.find("quarantine")
        for rows, column, label in ((changes, "delta", b"change"), (ledger, "payload", b"ledger")):
            for row in rows:
                doc = docs[row["doc_pk"]]
                if doc.gone is not None:
                    continue
                body = row[column]
                if doc.dek is not None:
                    body = content.unseal(
                        self.keys, doc.dek, body, content.label_of(doc.collection, doc.id) + label
                    )
                texts.append(bytes(body).decode())
        texts += [
            content.unseal(self.keys, row["dek"], row["payload"], row["id"].encode()).decode()
            for row in aside
            if row["dek"] is not None  # erased with its case
        ]
        return "\n".join(texts)

    def fingerprint(self) -> str:
        """Everything a repeated request must leave as it is."""
        docs = sorted(self.every_document(), key=lambda doc: doc.pk)
        with self.store.read() as reader:
            counts = [len(reader.find(table)) for table in ("change", "ledger", "quarantine", "closed_place")]
            head = reader.head().seq
        return repr([head, counts, [(doc.pk, doc.seq, doc.v) for doc in docs]])
