"""What an administrator sets up before the first worker signs in: cells, units, people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

import sync.cases
from tests.story.actors import PASSWORD
from tests.story.ground import DISTRICT, FIELDS, layer_file, near_border, neighbours

if TYPE_CHECKING:
    from tests.story.process import ServerProcess

DATA = Path(sync.cases.__file__).parent / "data"
HERE = "E00025604"  # the cell in which the story plays


class Place(Struct, frozen=True):
    """Where the story plays: three cells, the first two of them neighbours, and the areas above the first.

    `at_the_wall` is a point a few metres from the border of the two, WGS-84 degrees, on the side of `here`.
    """

    here: str
    next_door: str
    far_away: str
    community: str
    street: str
    at_the_wall: tuple[float, float]


def import_cells(server: ServerProcess, folder: Path) -> Place:
    """The administrator checks the office's file, has it mended, looks again, and puts it in force."""
    file = layer_file(folder / "cells.geojson")
    fields = folder / "fields.json"
    fields.write_text(json.dumps(FIELDS), encoding="utf-8")
    options = ("--crs", "wgs84", "--fields", str(fields), "--repair")
    checked = server.wangge("cells", "check", str(file), *options[:-1], data=False, fails=True)
    assert "E00025747" in checked  # two rings touch themselves
    told = server.wangge("cells", "import", str(file), *options)
    assert "1530 cells in 97 areas" in told
    server.wangge("cells", "activate", "1")
    layer = json.loads(file.read_text(encoding="utf-8"))
    by_code = {f["properties"]["code"]: f["properties"] for f in layer["features"]}
    own = by_code[HERE]
    next_door = next(
        code for code in neighbours(layer, HERE) if by_code[code]["community"] == own["community"]
    )
    far_away = next(code for code, row in by_code.items() if row["street"] != own["street"])
    wall = near_border(layer, HERE, next_door)
    return Place(HERE, next_door, far_away, own["community"], own["street"], wall)


def load_rules(server: ServerProcess) -> None:
    """Calendars and escalation rules, as they come with the program."""
    for calendar in ("always", "weekdays"):
        server.command(
            "calendar_import", toml=(DATA / f"calendar_{calendar}.toml").read_text(encoding="utf-8")
        )
    server.command("rules_activate", toml=(DATA / "rules_default.toml").read_text(encoding="utf-8"))


def units(place: Place) -> str:
    """The units' list, as CSV."""
    rows = (
        ("code", "type", "name", "area", "level", "parent"),
        ("CENTRE", "district_centre", "涧东区综治中心", DISTRICT, 3, ""),
        ("PARTY", "party_committee", "区委", DISTRICT, 3, "CENTRE"),
        ("STREET", "street_centre", "街道综治中心", place.street, 2, "CENTRE"),
        ("STATION", "community_station", "社区综治工作站", place.community, 1, "STREET"),
        ("MEDIATION", "mediation_committee", "社区人民调解委员会", place.community, 1, "STATION"),
        ("JUSTICE", "justice_office", "司法所", place.street, 2, "STREET"),
    )
    return "\n".join(",".join(map(str, row)) for row in rows)


def people(place: Place) -> dict[str, tuple[str, dict[str, str]]]:
    """username -> name and role."""
    return {
        "li": ("李网格", {"role": "grid_worker", "cell": place.here}),
        "zhao": ("赵网格", {"role": "grid_worker", "cell": place.here}),
        "sun": ("孙网格", {"role": "grid_worker", "cell": place.next_door}),
        "qian": ("钱网格", {"role": "grid_worker", "cell": place.far_away}),
        "clerk": ("周窗口", {"role": "clerk", "unit": "CENTRE"}),
        "verifier": ("吴窗口", {"role": "clerk", "unit": "CENTRE"}),
        "dispatcher": ("郑派单", {"role": "dispatcher", "unit": "CENTRE"}),
        "director": ("冯主任", {"role": "centre_director", "unit": "CENTRE"}),
        "secretary": ("陈书记", {"role": "community_leader", "unit": "STATION"}),
        "street": ("褚街道", {"role": "street_leader", "unit": "STREET"}),
        "district": ("卫区长", {"role": "district_leader", "unit": "PARTY"}),
        "manager": ("蒋主任", {"role": "unit_manager", "unit": "MEDIATION"}),
        "mediator": ("沈调解", {"role": "mediator", "unit": "MEDIATION"}),
        "justice": ("韩所长", {"role": "unit_manager", "unit": "JUSTICE"}),
    }


def set_up(server: ServerProcess, folder: Path) -> Place:
    """Cells, units and people of the story's district."""
    place = import_cells(server, folder)
    server.command("units_import", csv_text=units(place))
    load_rules(server)
    add_people(server, place)
    return place


def add_people(server: ServerProcess, place: Place, only: frozenset[str] | None = None) -> None:
    for username, (name, role) in people(place).items():
        if only is None or username in only:
            given: list[dict[str, Any]] = [role]
            server.command("users_add", username=username, name=name, password=PASSWORD, roles=given)
