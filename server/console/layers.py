"""The layers of cells for drawing and for looking ahead; each generation is read once and kept."""

from collections import OrderedDict
from threading import Lock
from typing import Any, Final

import msgspec
from msgspec import structs

from geo.cells import Bbox, Layer
from geo.layer import from_geojson, simplified, to_geojson
from sync.errors import BadRequest, NotFound
from sync.store import Reader, Row

_KEPT_MAX: Final = 8
_NUMBER_MAX: Final = 1 << 31
_ABOUT: Final = (
    "number",
    "state",
    "name",
    "created_at",
    "activated_at",
    "activated_seq",
    "retired_at",
)
_lock = Lock()
_layers: OrderedDict[tuple[str, int], tuple[int, Layer]] = OrderedDict()


def find_generation(reader: Reader, number: int | None, *, columns: tuple[str, ...] = ()) -> Row:
    """A generation by number, the active one for None; raises ``NotFound``."""
    if number is None:
        where: dict[str, Any] = {"state": "active"}
    elif 0 <= number < _NUMBER_MAX:
        where = {"number": number}
    else:
        raise NotFound
    rows = reader.find("generation", where, order=["-number"], limit=1, columns=columns)
    if not rows:
        raise NotFound
    return rows[0]


def layer_of(reader: Reader, district: str, number: int | None) -> tuple[Row, Layer]:
    """A generation's row and its layer."""
    about = find_generation(reader, number, columns=_ABOUT)
    key = (district, about["number"])
    with _lock:
        kept = _layers.get(key)
    # A number may come again after a restore: the moment of its making tells the two apart.
    if kept is None or kept[0] != about["created_at"]:
        row = find_generation(reader, about["number"], columns=("layer",))
        layer = structs.replace(
            from_geojson(row["layer"]), number=about["number"], valid_from=about["activated_at"]
        )
        kept = (about["created_at"], layer)
        with _lock:
            _layers[key] = kept
            while len(_layers) > _KEPT_MAX:
                _layers.popitem(last=False)
    return about, kept[1]


def layer_in_force(reader: Reader, district: str) -> Layer | None:
    """The layer of the active generation; None before there is one."""
    try:
        return layer_of(reader, district, None)[1]
    except NotFound:
        return None


def drawn(layer: Layer, *, bbox: Bbox | None, tolerance_m: float) -> bytes:
    """GeoJSON of a layer for a map: simplified, and only the cells that touch `bbox`."""
    shown = simplified(layer, tolerance_m) if tolerance_m > 0 and layer.cells else layer
    if bbox is not None:
        west, south, east, north = bbox
        cells = tuple(
            cell
            for cell in shown.cells
            if cell.bbox[0] <= east
            and cell.bbox[2] >= west
            and cell.bbox[1] <= north
            and cell.bbox[3] >= south
        )
        shown = structs.replace(shown, cells=cells)
    return to_geojson(shown, decimals=6)


def read_bbox(text: str | None) -> Bbox | None:
    """`west,south,east,north` in degrees; raises ``BadRequest`` for anything else."""
    if text is None:
        return None
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise BadRequest("`bbox` 应为 西,南,东,北 四个度数。") from None
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise BadRequest("`bbox` 应为 西,南,东,北 四个度数。")
    return west, south, east, north


def about_generation(row: Row, *, whole: bool = False) -> dict[str, Any]:
    """A generation without its ground; `whole` adds the report of its import."""
    shown = {name: row[name] for name in _ABOUT}
    if whole:
        shown["report"] = msgspec.json.decode(row["report"] or b"{}")
    return shown


def generations(reader: Reader) -> list[dict[str, Any]]:
    """Every generation, the newest first."""
    rows = reader.find("generation", order=["-number"], columns=_ABOUT)
    return [about_generation(row) for row in rows]
