"""Where a case belongs: by its fix, else by its address, its household, its author's one cell, else with the centre.

A fix that leaves the cell open (`raised`, PC2) is helped out by an address or a household within the area that is sure;
else the case lies before the centre until a person has said where it is (PC3). One whose cell vanished belongs to the
cell that took over the ground, rather than to its author's (PC4).
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from msgspec import Struct, structs
from shapely import Point

from geo.assignment import Assignment, Method, assign_all
from geo.coordinates import convert_point
from geo.points import Crs, Fix, PointError, read_fix
from geo.regions import Provider
from sync.config import OUTSIDE, OUTSIDE_CODE, Config
from sync.values import FOREVER, Place, Reach

RAISED: Final = Method.RAISED.value
BY_FIX: Final = frozenset({Method.CONTAINED.value, Method.SNAPPED.value})
PERSON: Final = "person"  # the method of what somebody has said: no rule overrules him


class Placed(Struct, frozen=True):
    """A cell key, its code for the document, and the record of how it was found."""

    cell_pk: int
    cell: str
    assignment: dict[str, Any]


def fix_of(location: Any) -> Fix | None:
    """The fix of a document's `location`, if it has a usable one."""
    if location is None:
        return None
    try:
        return read_fix(location)
    except PointError:
        return None


def spot_of(location: Any, provider: Provider) -> tuple[float, float, float | None] | None:
    """A document's place as WGS-84 longitude and latitude with its radius of 95 % in metres (None: not stated)."""
    fix = fix_of(location)
    if fix is None:
        return None
    lon, lat = convert_point(fix.lon, fix.lat, fix.crs, Crs.WGS84, provider)
    return lon, lat, fix.r95_m


def cells_near(config: Config, spot: tuple[float, float, float | None], reach_m: float) -> set[int]:
    """Keys of the cells in force within so many metres of a place."""
    index = config.index
    if index is None:
        return set()
    (place_m,) = index.layer.plane.to_metres(np.array([spot[:2]]))
    codes = [index.layer.codes[ordinal] for _, ordinal in index.within(Point(place_m), reach_m)]
    return {config.cell_by_code[code].pk for code in codes if code in config.cell_by_code}


def assign_fixes(config: Config, locations: Mapping[bytes, Any]) -> dict[bytes, Assignment]:
    """The assignment of many locations in one go, by the key of their documents."""
    index = config.index
    if index is None or not locations:
        return {}
    fixes = {key: fix_of(location) for key, location in locations.items()}
    found = assign_all(index, list(fixes.values()), config.thresholds, config.provider)
    return dict(zip(fixes, found, strict=True))


def place(
    config: Config,
    values: Mapping[str, Any],
    *,
    author: int | None,
    found: Assignment | None = None,
    addressed: int | None = None,
    household_cell: int | None = None,
    heir: int | None = None,
) -> Placed:
    """PC1, PC4: where a case with these values belongs; `found` is the assignment of its fix if it is known already.

    `addressed` is the cell of its typed address, where that can be no other's (``sync/addresses.py``). `heir` is the
    cell that has taken over the ground of the one it was in.
    """
    if found is None and config.index is not None and (fix := fix_of(values.get("location"))) is not None:
        (found,) = assign_all(config.index, [fix], config.thresholds, config.provider)
    if found is not None and found.method in {Method.CONTAINED, Method.SNAPPED} and found.cell is not None:
        row = config.cell_by_code.get(found.cell)
        if row is not None:
            return Placed(row.pk, row.code, _record(found))
    if found is not None and found.method is Method.OUTSIDE:
        return Placed(OUTSIDE, OUTSIDE_CODE, _record(found))
    told = _told(config, addressed, household_cell)
    if found is not None and found.method is Method.RAISED:
        if told is not None and allows(config, found.area, told.cell):
            return told
        if heir is not None:
            return Placed(heir, config.cells[heir].code, by_succession())
        return Placed(OUTSIDE, OUTSIDE_CODE, _record(found))
    if told is not None:
        return told
    if heir is not None:
        return Placed(heir, config.cells[heir].code, by_succession())
    home = home_cell(config, author)
    if home is not None:
        return Placed(home, config.cells[home].code, _plain("home_cell", confirm=True))
    return Placed(OUTSIDE, OUTSIDE_CODE, _plain("none", confirm=True))


def by_succession() -> dict[str, Any]:
    """The record of a case that is where its cell's ground is now."""
    return _plain("successor", confirm=True)


def allows(config: Config, area: str | None, cell: str) -> bool:
    """Whether a raised fix that is sure of an area alone (None: of none) allows for this cell."""
    return area is None or any(row.code == area for row in config.ancestors(cell))


def place_by_word(config: Config, location: Mapping[str, Any]) -> tuple[int, str]:
    """The cell, key and code, of a point that a person has named: the point is believed, whatever its radius."""
    fix = fix_of(location)
    found = None
    if fix is not None and config.index is not None:
        pin = structs.replace(fix, accuracy_m=None)
        (found,) = assign_all(config.index, [pin], config.thresholds, config.provider)
    row = None if found is None or found.cell is None else config.cell_by_code.get(found.cell)
    return (OUTSIDE, OUTSIDE_CODE) if row is None else (row.pk, row.code)


def word_of(
    former: str | None, code: str, *, by: str | None, at: int, evidence: str | None
) -> dict[str, Any]:
    """PC5: the record of a place that a person has set: who, when, from which cell to which, by what evidence.

    It stays with the case for as long as nobody says otherwise, also when the cell does not.
    """
    record = {"by": by, "at": at, "from": former, "to": code, "evidence": evidence}
    known = {name: value for name, value in record.items() if value is not None}
    return {"method": PERSON, "needs_confirmation": False} | known


def _told(config: Config, addressed: int | None, household_cell: int | None) -> Placed | None:
    """Where the case is by its address, else by its household."""
    if addressed is not None and in_force(config, addressed):
        return Placed(addressed, config.cells[addressed].code, _plain("address", confirm=False))
    if household_cell is not None and in_force(config, household_cell):
        return Placed(household_cell, config.cells[household_cell].code, _plain("household", confirm=False))
    return None


def in_force(config: Config, cell_pk: int) -> bool:
    """Whether a cell is of the edition in force: in one of the past nobody at a desk would find the case."""
    row = config.cells.get(cell_pk)
    return row is not None and row.level == 0 and row.generation == config.generation


def home_cell(config: Config, user_pk: int | None) -> int | None:
    """The one cell a worker has; with several nobody can say which."""
    if user_pk is None:
        return None
    cells = _worked_in(config, user_pk)
    return cells.pop() if len(cells) == 1 else None


def cells_worked_in(config: Config, user_pk: int) -> set[str]:
    """Codes of the cells in force that somebody works in."""
    return {config.cells[pk].code for pk in _worked_in(config, user_pk)}


def _worked_in(config: Config, user_pk: int) -> set[int]:
    return {
        hold.tag
        for hold in config.holds(user_pk)
        if hold.kind == Place.cell
        and hold.reach is Reach.worker
        and hold.v_to == FOREVER
        and in_force(config, hold.tag)
    }


def _record(found: Assignment) -> dict[str, Any]:
    record: dict[str, Any] = {"method": found.method.value, "needs_confirmation": found.needs_confirmation}
    if found.p is not None:
        record["p"] = found.p
    if found.candidates:
        record["candidates"] = list(found.candidates)
    if found.distance_m is not None:
        record["distance_m"] = found.distance_m
    if found.area is not None:
        record["area"] = found.area
    return record


def _plain(method: str, *, confirm: bool) -> dict[str, Any]:
    return {"method": method, "needs_confirmation": confirm}
