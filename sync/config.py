"""The district as the core needs to know it: units, cells, people, grants, rules; one value a version.

Rebuilt when ``Head.config`` has moved; everything a commit or a pull asks about people and places is answered from
here without a query. Grants keep their whole history, since a pull asks what somebody held at any number.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from geo.assignment import LayerIndex
from geo.cells import RESERVED_CODE
from geo.certainty import Thresholds
from geo.layer import from_geojson
from geo.regions import Provider
from sync.cases.calendars import Calendar, parse_calendar
from sync.cases.catalogue import ROLES
from sync.cases.rulesets import RuleSet, parse_rules
from sync.store import Reader
from sync.values import FOREVER, Head, Hold, Place, Reach
from sync.visibility import by_tag

OUTSIDE = 0  # the cell key of what lies in no cell: units at district level have it
OUTSIDE_CODE = RESERVED_CODE
# Setting of the district: whose maps a coordinate in GCJ-02 was taken from, a word of `Provider`.
MAP_PROVIDER = "map_provider"
PLACING: Final = "placing"  # the setting that says what is sure enough for a cell
OFFICE = "office"  # the calendar that working days are counted by
DISTRICT_LEVEL = 3
_NO_CELLS: frozenset[int] = frozenset()
IndexOf = Callable[[bytes], LayerIndex]  # from a layer as it is kept


def index_at_once(content: bytes) -> LayerIndex:
    """The index of a layer as it is kept."""
    return LayerIndex(from_geojson(content))


class UnitRow(Struct, frozen=True):
    """A unit: `area` is the code of the area it stands at, `level` that area's level."""

    pk: int
    code: str
    type: str
    name: str
    area: str
    level: int
    parent: str | None


class CellRow(Struct, frozen=True):
    """A cell (level 0) or an area above it."""

    pk: int
    code: str
    name: str
    kind: str
    level: int
    parent: str | None
    generation: int


class GrantRow(Struct, frozen=True):
    """A role of a person at a unit or a cell, over an interval of the clock."""

    pk: int
    user_pk: int
    role: str
    unit_pk: int | None
    cell_pk: int | None
    stands_in_for: int | None
    v_from: int
    v_to: int | None
    until_at: int | None


class AccountRow(Struct, frozen=True):
    """A person who can sign in."""

    pk: int
    id: str
    username: str
    name: str
    state: str
    not_before: int


OF_UNIT_ALONE = frozenset(
    code for code, row in ROLES.items() if {right.via for right in row.rights} == {"unit"}
)


def duty_tag(unit_pk: int, *, assigned: bool) -> int:
    """The tag of a case at a handling unit: open to all its handlers until one person has it."""
    return unit_pk * 2 + (1 if assigned else 0)


class Config:
    """One version of the district; nothing in it changes after it is built."""

    def __init__(
        self,
        district: str,
        head: Head,
        *,
        units: Iterable[UnitRow],
        cells: Iterable[CellRow],
        unit_cells: Iterable[tuple[int, int, int, int | None]],
        grants: Iterable[GrantRow],
        accounts: Iterable[AccountRow],
        settings: Mapping[str, Any],
        generation: int,
        layer: bytes | None,
        rules: str | None,
        calendars: Mapping[str, str],
        index_of: IndexOf = index_at_once,
    ) -> None:
        self.district = district
        self.version = head.config
        self.epoch = head.epoch
        self.units = {row.pk: row for row in units}
        self.unit_by_code = {row.code: row for row in self.units.values()}
        self.cells = {row.pk: row for row in cells}
        self.cell_by_code = {row.code: row for row in self.cells.values()}
        self.accounts = {row.pk: row for row in accounts}
        self.account_by_id = {row.id: row for row in self.accounts.values()}
        self.settings = dict(settings)
        self.generation = generation
        self.rules_source = rules
        self.calendar_sources = dict(calendars)
        self._unit_cells: dict[int, list[tuple[int, int, int]]] = {}
        for unit_pk, cell_pk, v_from, v_to in unit_cells:
            rows = self._unit_cells.setdefault(unit_pk, [])
            rows.append((cell_pk, v_from, FOREVER if v_to is None else v_to))
        self._cells_now = {
            unit_pk: frozenset(cell_pk for cell_pk, _, v_to in rows if v_to == FOREVER)
            for unit_pk, rows in self._unit_cells.items()
        }
        self._active_by_role: dict[str, list[GrantRow]] = {}
        self.grants: dict[int, list[GrantRow]] = {}
        for grant in grants:
            self.grants.setdefault(grant.user_pk, []).append(grant)
            if grant.v_to is None:
                self._active_by_role.setdefault(grant.role, []).append(grant)
        self._holds: dict[int, tuple[Hold, ...]] = {}
        self._held: dict[int, dict[tuple[int, int], tuple[Hold, ...]]] = {}
        self._layer = layer
        self._index_of = index_of
        self._index: LayerIndex | None = None
        self._thresholds: Thresholds | None = None
        self._user_units: dict[str, frozenset[str]] | None = None
        self._offices: dict[str, frozenset[tuple[str, str | None]]] | None = None
        self._ruleset: RuleSet | None = None
        self._calendars: dict[str, Calendar] | None = None

    @property
    def ruleset(self) -> RuleSet | None:
        """The active rules; None before a district has any."""
        if self._ruleset is None and self.rules_source is not None:
            self._ruleset = parse_rules(self.rules_source)
        return self._ruleset

    @property
    def calendars(self) -> dict[str, Calendar]:
        """The newest version of each calendar."""
        if self._calendars is None:
            self._calendars = {name: parse_calendar(text) for name, text in self.calendar_sources.items()}
        return self._calendars

    @property
    def provider(self) -> Provider:
        """Whose maps this district's coordinates in GCJ-02 were taken from."""
        word = self.settings.get(MAP_PROVIDER)
        return Provider(word) if word in tuple(Provider) else Provider.MAINLAND_HK_MO

    @property
    def thresholds(self) -> Thresholds:
        """What is sure enough for a cell."""
        if self._thresholds is None:
            self._thresholds = msgspec.convert(self.settings.get(PLACING, {}), Thresholds)
        return self._thresholds

    @property
    def index(self) -> LayerIndex | None:
        """The active layer, ready for assignment; built on first use."""
        if self._index is None and self._layer is not None:
            self._index = self._index_of(self._layer)
        return self._index

    def reuse(self, former: "Config") -> None:
        """Take over what is dear to build from an older version, where its source is the same."""
        if former.generation == self.generation:
            self._index = former._index  # noqa: SLF001  # of the same class
        if former.rules_source == self.rules_source:
            self._ruleset = former._ruleset  # noqa: SLF001  # of the same class
        if former.calendar_sources == self.calendar_sources:
            self._calendars = former._calendars  # noqa: SLF001  # of the same class

    def holds(self, user_pk: int) -> tuple[Hold, ...]:
        """VI2: every tag this person holds or has held, with what brings it."""
        if user_pk not in self._holds:
            self._holds[user_pk] = tuple(self._make_holds(user_pk))
        return self._holds[user_pk]

    def held(self, user_pk: int) -> dict[tuple[int, int], tuple[Hold, ...]]:
        """The same by kind and tag."""
        if user_pk not in self._held:
            self._held[user_pk] = by_tag(self.holds(user_pk))
        return self._held[user_pk]

    def _make_holds(self, user_pk: int) -> Iterable[Hold]:
        yield Hold(Place.author, user_pk, 0, FOREVER, Reach.author, "author")
        for grant in self.grants.get(user_pk, ()):
            role = ROLES.get(grant.role)
            if role is None:
                continue
            until = FOREVER if grant.v_to is None else grant.v_to
            if grant.v_from >= until:
                continue
            if any(right.reach != "none" for right in role.rights):
                yield Hold(Place.person, user_pk, grant.v_from, until, Reach.handler, grant.role)
            for right in role.rights:
                if right.reach == "none":
                    continue
                reach = Reach(right.reach)
                if right.via == "cell":
                    yield from self._cell_holds(grant, until, reach)
                elif right.via == "unit" and grant.unit_pk is not None:
                    yield Hold(
                        Place.duty,
                        duty_tag(grant.unit_pk, assigned=False),
                        grant.v_from,
                        until,
                        reach,
                        grant.role,
                    )
                    if reach is Reach.manager:
                        tag = duty_tag(grant.unit_pk, assigned=True)
                        yield Hold(Place.duty, tag, grant.v_from, until, reach, grant.role)

    def _cell_holds(self, grant: GrantRow, until: int, reach: Reach) -> Iterable[Hold]:
        if grant.cell_pk is not None:
            yield Hold(Place.cell, grant.cell_pk, grant.v_from, until, reach, grant.role)
        elif grant.unit_pk is not None:
            for cell_pk, v_from, v_to in self._unit_cells.get(grant.unit_pk, ()):
                first, last = max(grant.v_from, v_from), min(until, v_to)
                if first < last:
                    yield Hold(Place.cell, cell_pk, first, last, reach, grant.role)

    def unit_has_cell(self, unit_pk: int, cell_pk: int) -> bool:
        """Whether the unit has the cell now."""
        return cell_pk in self._cells_now.get(unit_pk, _NO_CELLS)

    def active_grants(self, user_pk: int) -> list[GrantRow]:
        """Grants in force now."""
        return [grant for grant in self.grants.get(user_pk, ()) if grant.v_to is None]

    def roles(self, user_pk: int) -> frozenset[str]:
        """Every role this person has anywhere, now."""
        return frozenset(grant.role for grant in self.active_grants(user_pk))

    def may_have_cases(self, user_pk: int) -> bool:
        """Whether any role of this person, now, brings a case in view at all."""
        return any(
            right.reach != "none"
            for code in self.roles(user_pk)
            if (role := ROLES.get(code)) is not None
            for right in role.rights
        )

    def roles_at(self, user_pk: int, cell_pk: int | None, *, units: Iterable[int] = ()) -> frozenset[str]:
        """The roles that count at a cell, or at one of `units`.

        What somebody is at a unit that handles cases counts for its cases, not for all of its area.
        """
        return frozenset(grant.role for grant in self.grants_at(user_pk, cell_pk, units=units))

    def grants_at(
        self, user_pk: int, cell_pk: int | None, *, units: Iterable[int] = ()
    ) -> Iterable[GrantRow]:
        """The grants behind ``roles_at``."""
        wanted = set(units)
        for grant in self.active_grants(user_pk):
            at_unit = grant.unit_pk is not None and (
                grant.unit_pk in wanted
                or (
                    cell_pk is not None
                    and grant.role not in OF_UNIT_ALONE
                    and self.unit_has_cell(grant.unit_pk, cell_pk)
                )
            )
            if at_unit or (grant.cell_pk is not None and grant.cell_pk == cell_pk):
                yield grant

    def holders(self, roles: frozenset[str], cell_pk: int | None) -> list[int]:
        """Everybody who now has one of `roles` at the cell (through a unit or directly), in key order."""
        if cell_pk is None:
            return []
        return sorted(
            {
                grant.user_pk
                for role in roles
                for grant in self._active_by_role.get(role, ())
                if grant.cell_pk == cell_pk
                or (grant.unit_pk is not None and self.unit_has_cell(grant.unit_pk, cell_pk))
            }
        )

    def unit_members(self, unit_pk: int, roles: frozenset[str]) -> list[int]:
        """Everybody who now has one of `roles` at the unit."""
        grants = (grant for role in roles for grant in self._active_by_role.get(role, ()))
        return sorted({grant.user_pk for grant in grants if grant.unit_pk == unit_pk})

    @property
    def user_units(self) -> dict[str, frozenset[str]]:
        """The codes of the units each person stands in, by user id."""
        if self._user_units is None:
            self._user_units = {
                self.accounts[user_pk].id: frozenset(
                    self.units[grant.unit_pk].code
                    for grant in self.active_grants(user_pk)
                    if grant.unit_pk is not None and grant.unit_pk in self.units
                )
                for user_pk in self.grants
                if user_pk in self.accounts
            }
        return self._user_units

    @property
    def offices(self) -> dict[str, frozenset[tuple[str, str | None]]]:
        """The roles of each person, each with the unit it is held at (None: at a cell), by user id."""
        if self._offices is None:
            self._offices = {
                self.accounts[user_pk].id: frozenset(
                    (grant.role, None if grant.unit_pk is None else self.units[grant.unit_pk].code)
                    for grant in self.active_grants(user_pk)
                    if grant.unit_pk is None or grant.unit_pk in self.units
                )
                for user_pk in self.grants
                if user_pk in self.accounts
            }
        return self._offices

    def ancestors(self, cell_code: str) -> list[CellRow]:
        """The areas above a cell, from the lowest."""
        found: list[CellRow] = []
        row = self.cell_by_code.get(cell_code)
        while row is not None and row.parent is not None and len(found) < DISTRICT_LEVEL:
            row = self.cell_by_code.get(row.parent)
            if row is not None:
                found.append(row)
        return found


def load_config(district: str, reader: Reader, index_of: IndexOf = index_at_once) -> Config:
    """Read the whole configuration in the reader's snapshot."""
    active = reader.find("generation", {"state": "active"}, order=["-number"], limit=1)
    rules = reader.find("rules", {"state": "active"}, order=["-version"], limit=1)
    return Config(
        district,
        reader.head(),
        units=[msgspec.convert(row, UnitRow) for row in reader.find("unit")],
        cells=[msgspec.convert(row, CellRow) for row in reader.find("cell")],
        unit_cells=[
            (row["unit_pk"], row["cell_pk"], row["v_from"], row["v_to"])
            for row in reader.find("unit_cell", order=["pk"])
        ],
        grants=[msgspec.convert(row, GrantRow) for row in reader.find("grant_role", order=["pk"])],
        accounts=[
            AccountRow(row["pk"], row["id"], row["username"], row["name"], row["state"], row["not_before"])
            for row in reader.find("account", columns=["pk", "id", "username", "name", "state", "not_before"])
        ],
        settings={row["name"]: msgspec.json.decode(row["value"]) for row in reader.find("setting")},
        generation=active[0]["number"] if active else 0,
        layer=active[0]["layer"] if active else None,
        rules=rules[0]["source"] if rules else None,
        calendars={row["name"]: row["source"] for row in reader.find("calendar", order=["pk"])},
        index_of=index_of,
    )


class ConfigCache:
    """The newest configuration; one for a district in a process."""

    def __init__(self, district: str, index_of: IndexOf = index_at_once) -> None:
        self._district = district
        self._index_of = index_of
        self._config: Config | None = None

    def get(self, reader: Reader) -> Config:
        """The configuration of the reader's snapshot, rebuilt only when it has changed."""
        head = reader.head()
        config = self._config
        if config is None or config.version != head.config or config.epoch != head.epoch:
            former, config = config, load_config(self._district, reader, self._index_of)
            if former is not None:
                config.reuse(former)
            # What a transaction has not committed may still be rolled back, and its version number used again.
            if not getattr(reader, "config_raised", False):
                self._config = config
        return config
