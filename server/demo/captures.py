"""What workers and clerks capture: a place, people who quarrel or ask, and words for it."""

import random
import tomllib
from pathlib import Path
from typing import Any

import msgspec
from shapely import Point

from geo.cells import Layer, Level
from server.demo.people import FOCUS, HOME, Person, workers_of
from server.demo.stage import HOUR, MINUTE, Stage

_FOLDER = Path(__file__).parent / "data"
_SURNAMES = "赵钱孙李周吴郑王冯陈蒋沈韩杨朱秦许何吕张孔曹严魏陶姜戚谢邹章苏潘葛范彭"
_CALLED = ("师傅", "大姐", "阿姨", "大爷", "女士", "先生", "嫂子", "大叔")
_COMPOUNDS = (
    "纺机小区",
    "铁路三村",
    "春风里",
    "柳荫苑",
    "电缆厂宿舍",
    "书香园",
    "河畔人家",
    "建设新村",
    "老粮库院",
)
PLANT = "电焊条厂家属院"
_RURAL = ("上坡组", "河沟组", "庙后组", "新修组")


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_FOLDER / f"{name}.toml").read_text("utf-8"))


DISPUTES = _read("disputes")
SERVICES = _read("services")


class Scene(msgspec.Struct, frozen=True):
    """Where something happens and who writes it down."""

    cell: str
    community: str
    street: str  # short code of the quarter's units: S2, T1
    author: str
    compound: str
    lon: float
    lat: float
    rural: bool


class Told(msgspec.Struct, frozen=True):
    """A template with its slots filled: what is captured, and what it came to."""

    row: dict[str, Any]
    slots: dict[str, str]

    def say(self, text: str) -> str:
        """A sentence about these people."""
        return text.format(**self.slots)


class World:
    """The ground and the crew: scenes are drawn from it."""

    def __init__(self, stage: Stage, crew: tuple[Person, ...]) -> None:
        self.stage = stage
        self.rng = stage.rng
        self.workers = workers_of(crew)
        at_units = [(role, unit, one.username) for one in crew for role, unit, _ in one.grants[:1] if unit]
        self.mediators = {unit: name for role, unit, name in at_units if role == "mediator"}
        self.managers = {unit: name for role, unit, name in at_units if role == "unit_manager"}
        self.handlers = {
            unit: name for role, unit, name in at_units if role in {"unit_handler", "community_officer"}
        }
        self.leaders = {
            unit.removesuffix("-CENTRE"): name for role, unit, name in at_units if role == "street_leader"
        }
        self._layer: Layer = stage.layer
        self.cells = {cell.code: cell for cell in stage.layer.cells}
        self._focus = [cell for cell in self.cells if self.cells[cell].parent in FOCUS]
        self._elsewhere = [cell for cell in self.cells if self.cells[cell].parent not in FOCUS]

    def scene(self, *, home: bool = False, cell: str | None = None, author: str | None = None) -> Scene:
        """Somewhere, mostly where workers are; with `home` in 焊花."""
        if cell is None:
            code = self.rng.choice(self._focus if home or self.rng.random() < 0.86 else self._elsewhere)
            while home and self.cells[code].parent != HOME:
                code = self.rng.choice(self._focus)
        else:
            code = cell
        found = self.cells[code]
        above = {area.level: area for area in map(self._layer.area, self._layer.ancestors(code)) if area}
        number = int(above[Level.STREET].code[-3:])
        rural = number > 100
        lon, lat = self._inside(code)
        return Scene(
            cell=code,
            community=found.parent,
            street=f"{'T' if rural else 'S'}{number % 100}",
            author=author or self.workers.get(code) or self.rng.choice(("clerk-1", "clerk-2")),
            compound=self._compound(code, rural=rural),
            lon=lon,
            lat=lat,
            rural=rural,
        )

    def _compound(self, code: str, *, rural: bool) -> str:
        cell = self.cells[code]
        if str(cell.kind) == "dedicated":
            return cell.name
        area = self._layer.area(cell.parent)
        name = area.name if area is not None else ""
        if rural:
            return f"{name}{self.rng.choice(_RURAL)}"
        return f"{name.removesuffix('社区')}{_COMPOUNDS[int(code[-3:]) % len(_COMPOUNDS)]}"

    def _inside(self, code: str) -> tuple[float, float]:
        shape = self.cells[code].geometry
        west, south, east, north = shape.bounds
        for _ in range(200):
            lon, lat = self.rng.uniform(west, east), self.rng.uniform(south, north)
            # well inside, so that a phone's accuracy does not make the place doubtful
            if shape.contains(Point(lon, lat)) and shape.exterior.distance(Point(lon, lat)) > 0.0004:
                return round(lon, 6), round(lat, 6)
        point = shape.representative_point()
        return round(point.x, 6), round(point.y, 6)

    def tell(self, row: dict[str, Any], scene: Scene) -> Told:
        """Fill a template's slots."""
        rng = self.rng
        first, second = rng.sample(_SURNAMES, 2)
        floor = rng.randint(2, 6)
        slots = {
            "a": first + rng.choice(_CALLED),
            "b": second + rng.choice(_CALLED),
            "c": scene.compound,
            "n": str(rng.randint(2, 9)),
            "m": str(rng.randint(1, 12)),
            "y": str(rng.choice((300, 600, 800, 1200, 2400, 3000, 4500, 6800, 9000, 12000))),
            "f": str(floor),
            "u": str(floor - 1),
        }
        return Told(row, slots)


def phone_number(rng: random.Random) -> str:
    """A number that belongs to nobody: no network begins with 100."""
    return f"100{rng.randrange(10**8):08d}"


def location(scene: Scene, rng: random.Random) -> dict[str, Any]:
    """A fix of the phone, or a pin on the clerk's map."""
    at_desk = scene.author.startswith("clerk")
    return {
        "lon": scene.lon,
        "lat": scene.lat,
        "crs": "wgs84",
        "accuracy_m": 5.0 if at_desk else round(rng.uniform(4, 18), 1),
        "confidence": 68,
        "source": "map_pin" if at_desk else "gps",
    }


def address(scene: Scene, rng: random.Random) -> str:
    """A door in words."""
    if scene.rural:
        return f"{scene.compound}{rng.randint(3, 88)}号"
    return f"{scene.compound}{rng.randint(1, 9)}号楼{rng.randint(1, 4)}单元"


def _common(stage: Stage, told: Told, scene: Scene) -> dict[str, Any]:
    """Captured a little before it is pushed: a phone is not always in the net."""
    rng = stage.rng
    at_desk = scene.author.startswith("clerk")
    source = (
        rng.choice(("walk_in", "party", "hotline", "police"))
        if at_desk
        else rng.choice(("worker", "worker", "visit", "representative", "campaign"))
    )
    return {
        "id": stage.new_id(),
        "category": told.row["category"],
        "title": told.say(told.row["title"]),
        "address": address(scene, rng),
        "location": location(scene, rng),
        "urgency": "normal",
        "source": source,
        "channel": rng.choice(("in_person", "phone")) if at_desk else "in_person",
        "captured_at": stage.now - rng.choice((2 * MINUTE, 9 * MINUTE, 40 * MINUTE, 3 * HOUR)),
    }


def dispute(stage: Stage, told: Told, scene: Scene, **more: Any) -> dict[str, Any]:
    """A dispute between two sides as it is captured."""
    rng = stage.rng
    around = told.say(rng.choice(DISPUTES["circumstances"]))
    document = _common(stage, told, scene) | {
        "kind": "dispute",
        "description": f"{told.say(told.row['text'])}{around}",
        "parties": [
            _party("p1", "applicant", told.slots["b"], rng),
            _party("p2", "respondent", told.slots["a"], rng),
        ],
        "people_count": rng.choice((2, 2, 2, 3, 4)),
    }
    if rng.random() < 0.5:
        document["wishes"] = rng.choice(DISPUTES["wishes"])
    return document | more


def service(stage: Stage, told: Told, scene: Scene, **more: Any) -> dict[str, Any]:
    """A request, hazard, opinion or enquiry as it is captured."""
    rng = stage.rng
    document = _common(stage, told, scene) | {
        "kind": told.row["kind"],
        "description": told.say(told.row["text"]),
    }
    if told.row["kind"] != "hazard":
        document["parties"] = [_party("p1", "requester", told.slots["a"], rng)]
    return document | more


def _party(identity: str, role: str, called: str, rng: random.Random) -> dict[str, Any]:
    """Often no more than how the neighbours call them, which is enough."""
    party: dict[str, Any] = {"id": identity, "role": role, "alias": called, "entity": "person"}
    if rng.random() < 0.6:
        party["phone"] = phone_number(rng)
    return party
