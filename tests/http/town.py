"""A small district in this process: two streets, four cells, a unit of each sort needed, a person for every role."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from litestar.testing import TestClient

from geo.layer import read_geojson
from geo.points import Crs
from server.app import create_app
from server.auth.passwords import Hasher
from server.runtime import Runtime, initialise, opened
from server.settings import Settings
from sync import administration, generations
from sync.cases.catalogue import DATA, ROLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from litestar import Litestar

    from server.districts import District

CODE = "410399"
PASSWORD = "lan tian bai yun"
# Two cells in the first street's community, one in its second, one in the other street.
CELLS = ("410399001001001", "410399001001002", "410399001002001", "410399002001001")
WEST, SOUTH, STEP_X, STEP_Y = 112.4, 34.66, 0.0011, 0.0009
UNITS = (
    ("D-CENTRE", "district_centre", "区综治中心", CODE, 3),
    ("D-PARTY", "party_committee", "区委", CODE, 3),
    ("S1-CENTRE", "street_centre", "一街综治中心", f"{CODE}001", 2),
    ("S1-PARTY", "party_committee", "一街党工委", f"{CODE}001", 2),
    ("S1-JUSTICE", "justice_office", "一街司法所", f"{CODE}001", 2),
    ("S2-CENTRE", "street_centre", "二街综治中心", f"{CODE}002", 2),
    ("C1-STATION", "community_station", "一社区工作站", f"{CODE}001001", 1),
    ("C2-STATION", "community_station", "二社区工作站", f"{CODE}001002", 1),
)
_AT_UNIT = {
    "grid_leader": "C1-STATION",
    "community_officer": "C1-STATION",
    "community_leader": "C1-STATION",
    "liaison": "C1-STATION",
    "contact_cadre": "C1-STATION",
    "supervisor": "C1-STATION",
    "mediator": "S1-JUSTICE",
    "unit_handler": "S1-JUSTICE",
    "unit_manager": "S1-JUSTICE",
    "four_officer": "S1-JUSTICE",
    "counsellor": "S1-JUSTICE",
    "street_leader": "S1-PARTY",
    "duty_officer": "S1-CENTRE",
    "district_leader": "D-PARTY",
}
# The same roles somewhere else: what is not theirs must look as if it were not there.
ELSEWHERE = {
    "grid_worker_2": ("grid_worker", None, CELLS[3]),
    "clerk_2": ("clerk", "S2-CENTRE", None),
    "community_leader_2": ("community_leader", "C2-STATION", None),
}


def middle_of(cell: str) -> dict[str, Any]:
    """A good fix in the middle of a cell."""
    row, column = divmod(CELLS.index(cell), 2)
    return {
        "lon": WEST + (column + 0.5) * STEP_X,
        "lat": SOUTH + (row + 0.5) * STEP_Y,
        "crs": "wgs84",
        "accuracy_m": 5,
        "confidence": 95,
        "source": "map_pin",
    }


def layer_geojson(codes: tuple[str, ...] = CELLS, **changes: Any) -> bytes:
    """The layer as a file: squares side by side; `changes` go into every feature's properties."""
    features = []
    for number, code in enumerate(codes):
        row, column = divmod(number, 2)
        west, south = WEST + column * STEP_X, SOUTH + row * STEP_Y
        east, north = west + STEP_X, south + STEP_Y
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        properties = {"code": code, "name": f"第{number + 1}网格"} | changes
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


DATABASE_URL = "database.url"  # a file of the folder, where the town is on PostgreSQL


class Town:
    """The district, a client for it, and a bearer for everybody in it (the username is the role)."""

    def __init__(self, client: TestClient[Litestar], runtime: Runtime) -> None:
        self.client = client
        self.runtime = runtime
        self._bearers: dict[str, dict[str, str]] = {}
        self._devices: dict[str, str] = {}

    @property
    def district(self) -> District:
        return self.runtime.districts[CODE]

    def submit(self, work: Any, actor: str = "system") -> Any:
        return self.district.writer.submit_blocking(work, actor=actor)

    def bearer(self, user: str) -> dict[str, str]:
        if user not in self._bearers:
            body = {"username": user, "password": PASSWORD, "device": {"name": user}}
            answer = self.client.post("/api/v1/sessions", json=body)
            assert answer.status_code == 201, answer.text
            self._bearers[user] = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return self._bearers[user]

    def get(self, user: str | None, path: str, /, **params: Any) -> Any:
        headers = {} if user is None else self.bearer(user)
        return self.client.get(path, headers=headers, params=params or None)

    def post(self, user: str | None, path: str, body: Any = None, **options: Any) -> Any:
        headers = ({} if user is None else self.bearer(user)) | options.pop("headers", {})
        if isinstance(body, bytes):
            return self.client.post(path, headers=headers, content=body, **options)
        return self.client.post(path, headers=headers, json=body, **options)

    def act(self, user: str, case: str, act: str, /, **args: Any) -> Any:
        return self.post(user, f"/api/v1/cases/{case}/acts", {"act": act, **args})

    def must_act(self, user: str, case: str, act: str, /, **args: Any) -> dict[str, Any]:
        answer = self.act(user, case, act, **args)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def user_id(self, user: str) -> str:
        found = self.client.get("/api/v1/sessions/current", headers=self.bearer(user)).json()
        return str(found["id"])

    def push(self, user: str, collection: str, *docs: dict[str, Any]) -> Any:
        rows = [{"newDocumentState": doc} for doc in docs]
        return self.post(user, f"/sync/v1/{collection}/push", rows)

    def now(self) -> int:
        return self.district.clock.now_ms()

    def grant(self, user: str, cell: str, role: str = "grid_worker") -> None:
        """Somebody gets one cell more."""
        self.submit(administration.grant_role(user, role, cell=cell))

    def capture(self, user: str = "grid_worker", cell: str = CELLS[0], **fields: Any) -> str:
        """A case as a phone pushes it; returns its id."""
        identity = new_id()
        doc = {
            "id": identity,
            "kind": "dispute",
            "category": "0204",
            "title": "楼道堆物起争执",
            "description": "两户为楼道堆物争吵",
            "location": middle_of(cell),
            "captured_at": self.now(),
            "parties": [
                {"id": new_id(), "role": "applicant", "name": "王小梅", "phone": "13800001111"},
                {"id": new_id(), "role": "respondent", "name": "李大山", "id_number": "410399199001010011"},
            ],
            "w": next_w(),
            **fields,
        }
        answer = self.push(user, "cases", doc)
        assert answer.status_code == 200, answer.text
        return identity

    def admitted(self, **fields: Any) -> str:
        """A case that has been triaged and admitted."""
        case = self.capture(**fields)
        self.must_act("clerk", case, "triage", category="0204", basis="lawful", risk="yellow", channel="grid")
        self.must_act("clerk", case, "admit")
        return case

    def advance(self, working_days: int = 1, user: str = "district_leader") -> dict[str, Any]:
        answer = self.post(user, "/api/v1/demo/advance", {"working_days": working_days})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


_count = 0


def _counter() -> int:
    global _count  # noqa: PLW0603  # a phone's counter only goes up
    _count += 1
    return _count


def next_w() -> str:
    """A write id as a phone makes one."""
    return f"{_counter()}:{new_id()}"


def new_id() -> str:
    """A UUIDv7 as a phone makes one."""
    from server.clocks import wall_ms

    value = (wall_ms() << 80) | (7 << 76) | (2 << 62) | (uuid.uuid4().int & ((1 << 62) - 1))
    return str(uuid.UUID(int=value))


def works_of_a_town() -> Iterator[Any]:
    """Layer, units, rules, people, in the order in which a district is set up."""
    layer = read_geojson(layer_geojson(), Crs.WGS84).layer
    assert layer is not None
    yield administration.import_units(administration.UnitRecord(*unit) for unit in UNITS)
    yield generations.add_generation(layer)
    yield generations.activate_generation(1)
    yield administration.load_calendar((DATA / "calendar_weekdays.toml").read_text(encoding="utf-8"))
    yield administration.load_ruleset((DATA / "rules_default.toml").read_text(encoding="utf-8"))
    hashed = Hasher.shared().hash(PASSWORD)
    for role in ROLES:
        yield administration.add_account(role, f"{ROLES[role].zh}甲", hashed)
        if role in {"grid_worker", "grid_assistant"}:
            yield administration.grant_role(role, role, cell=CELLS[0])
        else:
            yield administration.grant_role(role, role, unit=_AT_UNIT.get(role, "D-CENTRE"))
    for name, (role, unit, cell) in ELSEWHERE.items():
        yield administration.add_account(name, f"{ROLES[role].zh}乙", hashed)
        yield administration.grant_role(name, role, unit=unit, cell=cell)


def build_town(folder: Path, *, demo: bool = True, database_url: str = "") -> None:
    """Make the district's files in `folder`, and its rows in a database if one is given."""
    if database_url:
        (folder / DATABASE_URL).write_text(database_url, encoding="utf-8")
    settings = settings_in(folder)
    initialise(settings, CODE, "涧东区", "涧东", demo=demo)
    with opened(settings) as runtime:
        for work in works_of_a_town():
            runtime.districts[CODE].writer.submit_blocking(work)


def settings_in(folder: Path) -> Settings:
    url = folder / DATABASE_URL
    return Settings(
        data=str(folder),
        purpose="test",
        clock_file=str(folder / "clock.json"),
        database_url=url.read_text(encoding="utf-8") if url.exists() else "",
    )


def open_town(folder: Path) -> Iterator[Town]:
    """The town of a folder, served in this process without timers; its clock can be moved."""
    app = create_app(settings_in(folder), jobs=[])
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Town(client, app.state.runtime)
