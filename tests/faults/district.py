"""A district of four square cells and two workers, quickly made, and what its books say."""

from __future__ import annotations

import base64
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from sync.sql_store import SqlStore
from sync.values import Collection
from tests.story.actors import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.story.actors import Phone
    from tests.story.process import ServerProcess

CODE = "410397"
CELLS = tuple(f"{CODE}001001{number:03}" for number in (1, 2, 3, 4))
# Everything of a push that could be there twice or half.
TABLES = ("change", "ledger", "quarantine", "closed_place", "naming", "waiting", "case_clocks", "series")
# Set by the server from its clock, its numbers or its chance.
FLEETING = frozenset({"id", "v", "w", "case_id", "device", "author", "at", "due", "args", "opened_at"})


def set_up(server: ServerProcess) -> None:
    """Four cells in a row, a worker in each of the first two, and a second one in the first."""
    features = []
    for number, code in enumerate(CELLS):
        west, east, south, north = 112.40 + number * 0.01, 112.41 + number * 0.01, 34.60, 34.61
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        ground = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"code": code}, "geometry": ground})
    layer = json.dumps({"type": "FeatureCollection", "features": features})
    server.command("cells_import", content=base64.b64encode(layer.encode()).decode(), crs="wgs84")
    server.command("cells_activate", generation=1)
    for username, cell in (("li", CELLS[0]), ("zhao", CELLS[0]), ("sun", CELLS[1])):
        roles = [{"role": "grid_worker", "cell": cell}]
        server.command("users_add", username=username, name=username.title(), password=PASSWORD, roles=roles)


def store_of(server: ServerProcess) -> SqlStore:
    if server.settings.postgres:
        return SqlStore.postgresql(server.settings.database_url, f"d_{server.code}")
    return SqlStore.sqlite(server.folder / "districts" / f"{server.code}.db")


def books(server: ServerProcess) -> dict[str, Any]:
    """How many rows of each sort there are, how many pushes are on record, and whether documents and clock agree."""
    store = store_of(server)
    try:
        with store.read() as reader:
            documents = reader.find("document", columns=["collection", "seq", "id"])
            counts = Counter(Collection(row["collection"]).name for row in documents)
            audit = Counter(row["action"] for row in reader.find("audit", columns=["action"]))
            return {
                **{table: len(reader.find(table)) for table in TABLES},
                **{f"documents of {name}": count for name, count in counts.items()},
                **{f"records of {name}": n for name, n in audit.items() if name.startswith("push:")},
                "ids": len({(row["collection"], bytes(row["id"])) for row in documents}),
                "highest number is the head": max(row["seq"] for row in documents) <= reader.head().seq,
            }
    finally:
        store.close()


def content(phone: Phone, collections: Iterable[str] = ("cases", "entries", "visits", "tasks")) -> list[str]:
    """What a worker reads, without what differs from one playing to the next."""
    return sorted(
        json.dumps(
            {name: value for name, value in doc.items() if name not in FLEETING and not name.endswith("_at")},
            ensure_ascii=False,
            sort_keys=True,
        )
        for collection in collections
        for doc in phone.sees(collection).values()
    )
