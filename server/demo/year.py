"""Twelve months of ordinary cases, and today's open ones: which flow begins when."""

from itertools import cycle
from typing import Any

from server.demo import flows, flows_service as services
from server.demo.captures import DISPUTES, SERVICES, Scene, World
from server.demo.stage import DAY, Script
from server.demo.way import Case, Flow
from sync.cases.catalogue import CATEGORIES

CASES = 420
MONTHS_DAYS = 362
_ODD = 11  # opinions, enquiries, reports of wrongdoing
# Shares of disputes by what they are about, in per mille (one county's figures of a year).
SHARES = {
    "neighbour": 320,
    "family": 184,
    "damage": 87,
    "house": 77,
    "medical": 63,
    "other": 62,
    "contract": 51,
    "traffic": 38,
    "business": 36,
    "requisition": 32,
    "land": 21,
    "labour": 15,
    "consumer": 8,
    "environment": 5,
    "property": 1,
}
DECLINES = [
    "party_refuses",
    "special_authority",
    "no_private_mediation",
    "in_suit",
    "handled_by_authority",
    "judged",
    "petition_final",
    "admin_dispute",
    "crime",
    "out_of_area",
    "not_a_dispute",
    "duplicate",
]
FAILS = [
    "party_ends",
    "no_show",
    "positions_apart",
    "not_mediable",
    "turned_criminal",
    "party_lost",
    "limit_reached",
]
RETURNS = [
    "not_our_duty",
    "not_our_area",
    "missing_facts",
    "needs_joint",
    "conflict_of_interest",
    "wrong_kind",
]
SUSPENSIONS = ["wait_party", "party_away", "appraisal", "wait_case", "wait_policy", "force_majeure"]
TARGETS = [
    "court",
    "procuratorate",
    "police",
    "petition",
    "labour_arbitration",
    "land_arbitration",
    "department",
    "other_district",
    "legal_aid",
    "civil_affairs",
    "hotline",
]
# Outcomes that need a flow of their own; the others come of themselves.
SERVICE_OUTCOMES = ("service_done", "explained", "beyond_policy", "admin_decision")


class Year:
    """Draws the cases of the year for one stage."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stage = world.stage
        self.rng = world.rng
        self.count = 0
        self.services = 0
        self._rows = {
            group: cycle(self.rng.sample(rows, len(rows)))
            for group in SHARES
            for rows in ([row for row in DISPUTES["dispute"] if row["group"] == group],)
        }
        self._services = cycle(self.rng.sample(SERVICES["service"], len(SERVICES["service"])))
        self._groups = self._mix()

    def _mix(self) -> Any:
        """Groups in the shares of the field, well shuffled, and again."""
        deck = [group for group, share in SHARES.items() for _ in range(max(1, round(share / 10)))]
        self.rng.shuffle(deck)
        return cycle(deck)

    # --- one case ----------------------------------------------------------------------------------------------------

    def dispute(
        self, flow: Flow, at: int, *args: Any, how: dict[str, Any] | None = None, **more: Any
    ) -> None:
        """Begin a dispute at an instant, taking `flow`."""

        def script() -> Script:
            row = next(self._rows[next(self._groups)])
            while flow is flows.suspended and CATEGORIES[row["category"]].protection != "normal":
                # a leader approves what he may read
                row = next(self._rows[next(self._groups)])
            scene = self._scene_for(row, on_spot=flow is flows.on_spot)
            case = Case(self.world, self.world.tell(row, scene), scene, **more)
            yield from flow(case, *args, **(how or {}))

        self._begin(at, script())

    def service(
        self, flow: Flow, at: int, *args: Any, how: dict[str, Any] | None = None, **more: Any
    ) -> None:
        """Begin a request or a hazard."""
        self.services += 1

        def script() -> Script:
            scene = self.world.scene(home=self.rng.random() < 0.2)
            row = next(self._services)
            if scene.rural and self.rng.random() < 0.6:
                row = self.rng.choice(SERVICES["village"])
            case = Case(self.world, self.world.tell(row, scene), scene, **more)
            yield from flow(case, *args, **(how or {}))

        self._begin(at, script())

    def told(self, flow: Flow, at: int, row: dict[str, Any], **how: Any) -> None:
        """Begin a case of a given template."""

        def script() -> Script:
            scene = self.world.scene()
            case = Case(self.world, self.world.tell(row, scene), scene)
            yield from flow(case, **how)

        self._begin(at, script())

    def _begin(self, at: int, script: Script) -> None:
        self.count += 1
        self.stage.add(at, script)

    def _scene_for(self, row: dict[str, Any], *, on_spot: bool) -> Scene:
        """Quarrels over fields happen in villages; what a worker settles happens where there is one."""
        rural = row["group"] == "land" or row["category"] in {"1001", "0303"}
        while True:
            scene = self.world.scene(home=self.rng.random() < 0.12)
            if rural and not scene.rural:
                continue
            if on_spot and scene.author.startswith("clerk"):
                continue
            return scene

    def ago(self, days: float) -> int:
        """An instant by day, so many days ago."""
        return self.stage.until - int(days * DAY) + self.rng.randrange(-3, 4) * 3_600_000

    # --- the year ----------------------------------------------------------------------------------------------------

    def reasons(self) -> None:
        """Each reason there is for an end or a halt, once; spread over the year."""
        for reason in DECLINES:
            self.dispute(flows.declined, self._day(), reason)
        for reason, outcome in zip(
            FAILS,
            ("unresolved_told", "party_unreachable", "beyond_policy", *["unresolved_told"] * 4),
            strict=True,
        ):
            self.dispute(flows.failed, self._day(), reason, outcome)
        for n, reason in enumerate(RETURNS):
            self.dispute(flows.returned, self._day(), reason, how={"times": 1 + (n == 2)})
        for reason in SUSPENSIONS:
            self.dispute(flows.suspended, self._day(), reason)
        for target in TARGETS:
            self.dispute(flows.referred, self._day(), target)
        for outcome in flows.RESOLVED_BY_WORDS:
            self.dispute(flows.settled, self._day(), outcome)
        for outcome in SERVICE_OUTCOMES:
            self.service(services.handled, self._day(), outcome)
        self.service(services.paused_service, self._day())
        for flow in (
            flows.withdrawn,
            flows.withdrawn,
            flows.voided,
            flows.voided,
            flows.breached,
            flows.reopened,
        ):
            self.dispute(flow, self._day())
        self.service(services.done_again, self._day())
        for row in SERVICES["tip_offs"]:
            self.told(services.tipped_off, self._day(), row)
        self.told(services.tipped_off, self._day(), SERVICES["tip_offs"][0], close=False)
        self.told(services.tipped_off, self.stage.before(7), SERVICES["tip_offs"][1])
        for row in SERVICES["others"]:
            self.told(services.answered if row["kind"] == "consult" else services.handled, self._day(), row)

    def today(self) -> None:
        """Every status of the catalogue twice over, none of it late."""
        ago = self.stage.before
        for n in range(2):
            h = n * 0.6
            self.dispute(flows.on_spot, ago(0.8 + h), stop="submitted")
            self.dispute(flows.admitted, ago(3 + h), stop="admitted", pace=0.5)
            self.dispute(flows.taken, ago(4 + h), stop="dispatched", pace=0.5)
            self.dispute(flows.returned, ago(3.2 + h / 2), "not_our_duty", stop="returned", pace=0.3)
            self.dispute(
                flows.returned,
                ago(3.8 + h / 2),
                "needs_joint",
                how={"times": 2},
                stop="adjudication",
                pace=0.25,
            )
            self.dispute(flows.taken, ago(6 + h), stop="accepted", pace=0.6)
            self.dispute(flows.talking, ago(11 + 6 * h), stop="in_mediation")
            self.dispute(flows.suspended, ago(13 + 6 * h), ("wait_party", "party_away")[n], stop="suspended")
            self.dispute(flows.promised, ago(22 + 8 * h), how={"due_days": 20})
            self.dispute(flows.breached, self.ago(12 + 2 * n), stop="breached", pace=0.5)
            self.dispute(flows.settled, ago(17 + 5 * h), stop="settled", pace=0.8)
            self.dispute(flows.on_spot, ago(2 + h), stop="settled")
            self.dispute(flows.failed, ago(19 + 5 * h), stop="failed", pace=0.8)
            self.dispute(flows.settled, ago(20 + 5 * h), stop="reported", pace=0.8)
            self.service(services.taken_in, ago(1.5 + h), stop="submitted")
            self.service(services.taken_in, ago(3 + h), stop="admitted", pace=0.6)
            self.service(services.to_unit, ago(4 + h), stop="dispatched", pace=0.6)
            self.service(services.handled, ago(8 + 4 * h), stop="handling", pace=0.8)
            self.service(services.handled, ago(16 + 4 * h), stop="reported", pace=0.8)
            self.service(services.answered, ago(1 + h), stop="reported")
        self._merging()

    def _merging(self) -> None:
        """Two quarrels told by two people each, made one."""
        for days in (40, 150):
            scene = self.world.scene(home=True)
            told = self.world.tell(DISPUTES["dispute"][0], scene)
            master, twice = Case(self.world, told, scene), Case(self.world, told, scene)
            at = self.stage.office(self.ago(days))
            self._begin(at, flows.settled(master))
            self._begin(at + 1, flows.merged(twice, master))

    def rest(self, total: int) -> None:
        """Fill the year up to `total` cases: as many disputes as requests and hazards, most of them small."""
        ways: list[tuple[Flow, dict[str, Any]]] = [
            *[(flows.on_spot, {})] * 60,
            *[(flows.settled, {})] * 16,
            *[(flows.performed, {})] * 9,
            *[(flows.failed, {})] * 2,
            *[(flows.breached, {})] * 1,
            *[(flows.withdrawn, {})] * 1,
        ]
        done: list[Flow] = [*[services.answered] * 5, *[services.by_worker] * 4, *[services.handled] * 6]
        left = max(0, total - self.count)
        asked = max(0, (total - _ODD) // 2 - self.services)
        for n in range(left):
            at = self._day()
            if n < asked:
                self.service(self.rng.choice(done), at)
            else:
                flow, how = self.rng.choice(ways)
                self.dispute(flow, at, how=how)

    def _day(self) -> int:
        """Some daytime of the year, a little more often in the later months; not of the last days, which are told."""
        days = 5 + (MONTHS_DAYS - 5) * (1 - self.rng.random() ** 0.9)
        at = self.stage.until - int(days * DAY)
        return at if self.rng.random() < 0.12 else self.stage.office(at)
