"""Where a case belongs: by its fix, else by its household, else by its author's one cell, else with the centre.

One whose cell vanished belongs to the cell that took over the ground, rather than to its author's.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import Struct
from shapely import Point

from geo.assignment import Assignment, Method, assign_all
from geo.coordinates import convert_point
from geo.points import Crs, Fix, PointError, read_fix
from geo.regions import Provider
from sync.config import OUTSIDE, OUTSIDE_CODE, Config
from sync.values import FOREVER, Place, Reach


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
    found = assign_all(index, list(fixes.values()), provider=config.provider)
    return dict(zip(fixes, found, strict=True))


def place(
    config: Config,
    values: Mapping[str, Any],
    *,
    author: int | None,
    found: Assignment | None = None,
    household_cell: int | None = None,
    heir: int | None = None,
) -> Placed:
    """Where a case with these values belongs; `found` is the assignment of its fix where it is known already.

    `heir` is the cell that has taken over the ground of the one it was in.
    """
    if found is None and config.index is not None and (fix := fix_of(values.get("location"))) is not None:
        (found,) = assign_all(config.index, [fix], provider=config.provider)
    if found is not None and found.method in {Method.CONTAINED, Method.SNAPPED} and found.cell is not None:
        row = config.cell_by_code.get(found.cell)
        if row is not None:
            return Placed(row.pk, row.code, _record(found))
    if found is not None and found.method is Method.OUTSIDE:
        return Placed(OUTSIDE, OUTSIDE_CODE, _record(found) | {"needs_confirmation": True})
    if household_cell is not None and in_force(config, household_cell):
        return Placed(household_cell, config.cells[household_cell].code, _plain("household", confirm=False))
    if heir is not None:
        return Placed(heir, config.cells[heir].code, by_succession())
    home = home_cell(config, author)
    if home is not None:
        return Placed(home, config.cells[home].code, _plain("home_cell", confirm=True))
    return Placed(OUTSIDE, OUTSIDE_CODE, _plain("none", confirm=True))


def by_succession() -> dict[str, Any]:
    """The record of a case that is where its cell's ground is now."""
    return _plain("successor", confirm=True)


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
    return record


def _plain(method: str, *, confirm: bool) -> dict[str, Any]:
    return {"method": method, "needs_confirmation": confirm}
