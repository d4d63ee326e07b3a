"""Editions of the cells: kept as a draft, put in force as one act; what lies in them follows (`sync/reassign.py`)."""

from collections.abc import Sequence
from typing import Any

from shapely.geometry import shape

from geo.cells import Area, Cell, Layer, is_code, is_name
from geo.layer import from_geojson, geometry_of, to_geojson
from geo.succession import successors
from sync import content
from sync.administration import done, new_batch, recuse_where_gained, settle_unit_cells
from sync.batch import Batch
from sync.commit import Context, Work, write
from sync.config import OUTSIDE, OUTSIDE_CODE
from sync.errors import Conflict, NotFound, Unprocessable
from sync.reassign import begin
from sync.reassign_rules import EDITION
from sync.store import Reader, Row, Tx
from sync.values import Collection


def add_generation(layer: Layer, report: bytes = b"{}") -> Work[int]:
    """Keep a checked layer as a draft generation; value: its number.

    Raises ``Unprocessable`` at once for a place that is called as nothing may be.
    """
    places: list[Area | Cell] = [*layer.areas, *layer.cells]
    if not all(is_code(place.code) and is_name(place.name) for place in places) or not is_name(layer.name):
        raise Unprocessable("网格图层里有不能用的编码或名称。")

    def work(tx: Tx, context: Context) -> int:
        last = tx.find("generation", order=["-number"], limit=1, columns=["number"])
        number = (last[0]["number"] if last else 0) + 1
        row = {
            "number": number,
            "state": "draft",
            "name": layer.name,
            "created_at": context.now,
            "activated_at": None,
            "activated_seq": None,
            "retired_at": None,
            "layer": to_geojson(layer),
            "report": report,
        }
        tx.insert("generation", [row])
        done(tx, context, tx.number(), "generation.add", [f"generation:{number}"])
        return number

    return work


def activate_generation(number: int) -> Work[int]:
    """Make a generation the one in force: cells, areas, cell documents, and which unit has which cell.

    Documents are re-assigned afterwards, in pieces (``sync/reassign.py``). Value: the clock number of the activation.
    """

    def work(tx: Tx, context: Context) -> int:
        rows = tx.find("generation", {"number": number})
        if not rows:
            raise NotFound(f"没有第 {number} 版网格。")
        if rows[0]["state"] == "active":
            raise Conflict(f"第 {number} 版网格已经启用。")
        layer = from_geojson(rows[0]["layer"])
        batch = new_batch(tx, context)
        n = batch.n
        _keep_cells(tx, layer, number)
        cells = tx.find("cell")
        _cell_documents(tx, batch, layer, number, cells)
        tx.update("generation", {"state": "active"}, {"state": "retired", "retired_at": context.now})
        changes = {"state": "active", "activated_at": context.now, "activated_seq": n, "retired_at": None}
        tx.update("generation", {"number": number}, changes)
        gained = settle_unit_cells(tx, n)
        undo_over = last_followed(tx, number)
        begin(tx, context, EDITION, source=undo_over, target=number, plan=_heirs(tx, layer, cells, context))
        tx.raise_config()
        recuse_where_gained(tx, context, batch, gained)
        batch.effects.append(f"generation:{number}")
        write(tx, batch, context, "generation.activate")
        return n

    return work


def last_followed(reader: Reader, number: int) -> int | None:
    """MA5: the last re-assignment to this edition; what editions have moved since is undone when it comes back."""
    where = {"kind": EDITION, "target": number}
    rows = reader.find("reassignment", where, order=["-pk"], limit=1, columns=["pk"])
    return rows[0]["pk"] if rows else None


def _keep_cells(tx: Tx, layer: Layer, number: int) -> None:
    """Codes are for ever: known ones are renamed, new ones added, those not in the layer marked as of the past."""
    if not tx.find("cell", {"pk": OUTSIDE}):
        row = {"code": OUTSIDE_CODE, "name": "界外", "kind": "outside", "level": 0, "parent": None}
        tx.insert("cell", [row | {"pk": OUTSIDE, "generation": -1}])
    known = {row["code"]: row for row in tx.find("cell")}
    fresh: list[Row] = []
    seen: set[str] = {OUTSIDE_CODE}
    next_pk = max((row["pk"] for row in known.values()), default=0) + 1
    sources: list[Area | Cell] = [*layer.areas, *layer.cells]
    for source in sources:
        row = {
            "code": source.code,
            "name": source.name,
            "kind": str(source.kind),
            "level": int(source.level),
            "parent": source.parent,
            "generation": number,
        }
        seen.add(source.code)
        former = known.get(source.code)
        if former is None:
            fresh.append(row | {"pk": next_pk})
            next_pk += 1
        elif {name: former[name] for name in row} != row:
            tx.update("cell", {"pk": former["pk"]}, row)
    tx.insert("cell", fresh)
    gone = [row["pk"] for code, row in known.items() if code not in seen]
    if gone:
        tx.update("cell", {"pk": gone}, {"generation": -number})


def _heirs(tx: Tx, layer: Layer, cells: Sequence[Row], context: Context) -> dict[str, int]:
    """Which cell in force has the ground of each cell of the past, by key; those that were shared out have none."""
    past = {row["code"]: row["pk"] for row in cells if row["level"] == 0 and row["generation"] < 0}
    keys = [content.id_bytes(Collection.cells, code) for code in past]
    outlines = {}
    for doc in tx.documents(Collection.cells, keys):
        values = content.wire_values(doc, context.keys)
        outlines[str(values["id"])] = shape(values["geometry"])
    by_code = {row["code"]: row["pk"] for row in cells}
    return {str(past[old]): by_code[new] for old, new in successors(outlines, layer).items()}


def _cell_documents(tx: Tx, batch: Batch, layer: Layer, number: int, cells: Sequence[Row]) -> None:
    """A phone keeps its cells' outlines as documents of the collection `cells`."""
    by_code = {row["code"]: row["pk"] for row in cells}
    keys = {content.id_bytes(Collection.cells, cell.code): cell for cell in layer.cells}
    known = {doc.id: doc for doc in tx.documents(Collection.cells, list(keys))}
    for key, cell in keys.items():
        values: dict[str, Any] = {
            "id": cell.code,
            "name": cell.name,
            "kind": str(cell.kind),
            "level": int(cell.level),
            "parent": cell.parent,
            "bbox": list(cell.bbox),
            "geometry": geometry_of(cell, decimals=6),
            "generation": number,
            "valid_from": batch.now,
        }
        doc = known.get(key)
        if doc is None:
            batch.create(Collection.cells, key, values, cell=by_code[cell.code])
        else:
            batch.set(batch.take(doc), values)
