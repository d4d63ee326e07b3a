"""Where something is: addresses that a text may mean, what lies at a point, and the cells of a map."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from functools import cached_property
from threading import Lock
from typing import Any, Final

import msgspec

from geo.assignment import Assignment, Method, assign_all
from geo.cells import Layer
from geo.coordinates import convert_point
from geo.neighbours import Neighbours, neighbours
from geo.points import Crs, Fix, PointError, read_fix
from geo.vector_tiles import VectorTiles
from server.console.layers import layer_of
from server.console.scope import FORMS, Sight, cells_in
from sync import content
from sync.address_text import Address, read
from sync.addresses import SCORE_LEAST, Found, Wanted, nearest, search, weigh
from sync.cases import model
from sync.config import Config
from sync.errors import NotFound, Unprocessable
from sync.store import Reader
from sync.values import Collection, Doc, Level, Place

HOUSEHOLDS_MAX: Final = 2000  # looked at for one question
_CHUNK: Final = 500
_NEAREST: Final = 10
_KEPT_MAX: Final = 4
_TYPED: Final = ("compound", "building", "unit_no", "room")
_COUNTED: Final = {"building": "栋", "unit_no": "单元", "room": "室"}


class QueryTooShort(Unprocessable):
    """What was typed has no two signs to look for."""

    code = "query_too_short"
    status = 400


class PlaceUnusable(Unprocessable):
    """The place cannot be used: `issues` say which value is missing or wrong."""

    code = "place_unusable"
    status = 400


class QueryNotAllowed(Unprocessable):
    """What was typed holds characters that no address has."""

    code = "query_not_allowed"
    status = 400


# --- from a text -----------------------------------------------------------------------------------------------------


def find_addresses(sight: Sight, text: str, *, place: str | None, limit: int) -> dict[str, Any]:
    """Addresses of the district's list, and homes that this person sees, the best first.

    `place` is a cell or an area that they lie in. `complete` is False where there are more homes than are looked at.
    """
    if any(not sign.isprintable() for sign in text):
        raise QueryNotAllowed("查询内容里有不能用的字符。")
    if (wanted := weigh(sight.reader, text)) is None:
        raise QueryTooShort("请至少输入地址中相连的两个字。")
    within = None if place is None else _codes(sight.config, place)
    listed = search(sight.reader, sight.config, text, limit=limit, within=within)
    ranked = [(wanted.rank(read(one.text), one.score), _listed(one)) for one in listed]
    homes, complete = _homes(sight, within)
    for values in homes:
        told = _typed(values)
        address = read(told)
        if address.pairs and (score := wanted.score(address)) >= SCORE_LEAST:
            ranked.append((wanted.rank(address, score), _home(values, told, score, wanted, address)))
    ranked.sort(key=lambda one: (one[0], one[1]["kind"], one[1].get("id", "")))
    return {"items": [shown for _, shown in ranked[:limit]], "complete": complete}


def _codes(config: Config, place: str) -> frozenset[str]:
    return frozenset(config.cells[pk].code for pk in cells_in(config, place) if pk in config.cells)


def _listed(one: Found) -> dict[str, Any]:
    shown = {
        "text": one.text,
        "kind": one.kind,
        "cell": one.cell,
        "lon": one.lon,
        "lat": one.lat,
        "score": one.score,
        "same_number": one.same_number,
    }
    return shown if one.distance_m is None else shown | {"distance_m": one.distance_m}


def _home(
    values: Mapping[str, Any], text: str, score: float, wanted: Wanted, address: Address
) -> dict[str, Any]:
    return {
        "text": text,
        "kind": "household",
        "id": values["id"],
        "cell": values.get("cell"),
        "lon": None,
        "lat": None,
        "score": score,
        "same_number": wanted.same_number(address),
    }


def _typed(values: Mapping[str, Any]) -> str:
    """A home's address: as it was written, else put together from its parts."""
    written = values.get("address_text")
    if isinstance(written, str) and written.strip():
        return written
    parts = [(name, str(values[name])) for name in _TYPED if values.get(name)]
    return "".join(text + (_COUNTED.get(name, "") if text.isdigit() else "") for name, text in parts)


def _homes(sight: Sight, within: frozenset[str] | None) -> tuple[list[dict[str, Any]], bool]:
    """Homes that this person sees, as he sees them; nothing of a person is opened for it."""
    found: list[dict[str, Any]] = []
    for looked, doc in enumerate(_homes_in_view(sight, within), start=1):
        if looked > HOUSEHOLDS_MAX:
            return found, False
        level = sight.level(doc)
        if doc.gone is None and level >= Level.plain:
            clear = msgspec.json.decode(b"{" + doc.clear + b"}")
            identity = {"id": content.id_text(Collection.households, doc.id)}
            found.append(model.project("households", clear, FORMS[level]) | identity)
    return found, True


def _homes_in_view(sight: Sight, within: frozenset[str] | None) -> Iterator[Doc]:
    cells = sight.config.cells
    tags = sorted(
        tag
        for (kind, tag), holds in sight.viewer.holds.items()
        if kind == Place.cell
        and any(hold.v_from <= sight.n < hold.v_to for hold in holds)
        and (within is None or (tag in cells and cells[tag].code in within))
    )
    after: tuple[int, int, int] | None = None
    while tags:
        docs = sight.reader.tagged(
            Collection.households, Place.cell, tags, seq_over=0, seq_upto=None, after=after, limit=_CHUNK
        )
        yield from docs
        if len(docs) < _CHUNK:
            return
        after = (docs[-1].cell or 0, docs[-1].seq, docs[-1].pk)


# --- from a point ----------------------------------------------------------------------------------------------------


def number(text: str | None) -> Any:
    """A number of an address's parameter; None where nothing was given, the text itself where it is none."""
    try:
        return None if text is None or not text.strip() else _value_of(float(text))
    except ValueError:
        return text


def _value_of(value: float) -> float | int:
    return (
        int(value) if value.is_integer() and abs(value) < 1 << 53 else value
    )  # a confidence is a whole number


def fix_from(raw: Mapping[str, Any]) -> Fix:
    """A fix from parameters of an address; raises ``PlaceUnusable`` with everything that is wrong."""
    try:
        return read_fix(dict(raw))
    except PointError as error:
        issues = [{"field": fault.field, "code": str(fault.code)} for fault in error.faults]
        raise PlaceUnusable("须给出经度、纬度和坐标系。", issues=issues) from None


def what_is_at(reader: Reader, config: Config, fix: Fix) -> dict[str, Any]:
    """The cell of a place, the areas above it, how sure that is, and the addresses near it."""
    lon, lat = convert_point(fix.lon, fix.lat, fix.crs, Crs.WGS84, config.provider)
    index = config.index
    nowhere = Assignment(Method.OUTSIDE, needs_confirmation=True)
    (found,) = [nowhere] if index is None else assign_all(index, [fix], config.thresholds, config.provider)
    row = None if found.cell is None else config.cell_by_code.get(found.cell)
    return {
        "lon": round(lon, 6),
        "lat": round(lat, 6),
        "generation": config.generation,
        "cell": None if row is None else {"code": row.code, "name": row.name, "kind": row.kind},
        "areas": _areas(config, found),
        "assignment": msgspec.to_builtins(found),
        "addresses": [_near(one) for one in nearest(reader, config, lon, lat, limit=_NEAREST)],
    }


def _areas(config: Config, found: Assignment) -> list[dict[str, Any]]:
    """The areas above the cell; of a point too vague for a cell, the lowest that is sure, and those above it."""
    sure = None if found.area is None else config.cell_by_code.get(found.area)
    rows = [] if sure is None else [sure]
    rows += config.ancestors(found.cell or found.area or "")
    return [{"code": row.code, "name": row.name, "level": row.level} for row in rows]


def _near(one: Found) -> dict[str, Any]:
    shown = _listed(one)
    return {name: shown[name] for name in ("text", "kind", "cell", "lon", "lat", "distance_m")}


# --- cells on a map --------------------------------------------------------------------------------------------------


class Drawn:
    """What is worked out once from a layer: who is whose neighbour, and its tiles. Any thread may ask."""

    def __init__(self, layer: Layer, etag: str) -> None:
        """`etag` tells this very layer from any other of any district."""
        self.layer = layer
        self.etag = etag
        self.tiles = VectorTiles(layer)

    @cached_property
    def neighbours(self) -> Neighbours:
        """Every cell's."""
        return neighbours(self.layer)


_lock = Lock()
_drawn: OrderedDict[str, Drawn] = OrderedDict()


def drawn_of(reader: Reader, district: str, number: int | None) -> Drawn:
    """A generation, the active one for None, ready to be drawn; raises ``NotFound``."""
    about, layer = layer_of(reader, district, number)
    # A number may come again after a restore: the moment of its making tells the two apart.
    etag = f"{district}-{about['number']}-{about['created_at']}"
    with _lock:
        found = _drawn.get(etag)
        if found is None or found.layer is not layer:
            found = _drawn[etag] = Drawn(layer, etag)
        _drawn.move_to_end(etag)
        while len(_drawn) > _KEPT_MAX:
            _drawn.popitem(last=False)
    return found


def neighbours_of(drawn: Drawn, code: str) -> dict[str, Any]:
    """The cells that touch one, by code; raises ``NotFound`` for a code that the layer has not."""
    layer = drawn.layer
    if layer.cell(code) is None:
        raise NotFound
    items = []
    for near in drawn.neighbours[code]:
        cell = layer.cell(near.code)
        if cell is not None:
            items.append(
                {
                    "code": cell.code,
                    "name": cell.name,
                    "kind": cell.kind,
                    "parent": cell.parent,
                    "touch": near.touch,
                }
            )
    return {"code": code, "generation": layer.number, "items": items}
