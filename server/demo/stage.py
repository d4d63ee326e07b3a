"""The stage of the demo's year: scripts act in the order of time, and between two acts the clocks tick.

Every capture is pushed as the worker's phone pushes it, and every act is run by the person who may do it, through the
district's one writer; only `now` is the instant of the story. So each ladder climbs by the rules, not by hand.
"""

import heapq
import random
from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec

from geo.cells import Layer
from server.auth.sessions import end_sessions_of, open_session
from server.districts import District
from server.keys import SystemChance
from sync import content
from sync.acting_work import ActAnswer, act_work
from sync.cases.calendars import (
    Calendar,
    add_office,
    add_span,
    date_of,
    day_of,
    hours_of,
    parse_span,
    provisional_years,
)
from sync.commit import Context, Later, Work
from sync.firing import nearest_due, tick_work
from sync.pull import Caller, pull
from sync.push import push_work
from sync.queue_work import queue_act_work
from sync.store import Tx
from sync.upkeep import unsampled, verify_unsampled
from sync.values import Collection

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
FAR = 1 << 52  # an instant that never comes
TICK_EVERY = 30 * MINUTE  # the real scheduler looks every few seconds; here that would only cost time
Script = Iterator[int]  # yields the instant at which it wants to go on


class Reached(Exception):
    """The script's case has come to where it was meant to stay."""


class SeededChance(SystemChance):
    """Keys and ids as always; only the draw of the sample comes from the seed, so that each preparation is alike."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._draw = random.Random(seed)

    def percent(self) -> int:
        """A number from 0 to 99."""
        return self._draw.randrange(100)


class Phone(msgspec.Struct):
    """A signed-in device: the caller it makes, and the counter of its writes."""

    caller: Caller
    writes: int = 0


class Stage:
    """Runs scripts against one district up to `until`, the demo's today."""

    def __init__(self, district: District, calendar: Calendar, layer: Layer, until: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.layer = layer
        self.until = until
        self.now = 0
        self.phones: dict[str, Phone] = {}
        self._district = district
        self._calendar = calendar
        self._chance = SeededChance(seed)
        self._tx: Tx | None = None
        self._context: Context | None = None
        self._scripts: list[tuple[int, int, Script]] = []
        self._started = 0

    # --- running -----------------------------------------------------------------------------------------------------

    def add(self, at: int, script: Script) -> None:
        """Begin a script at an instant; one that would begin after today never does."""
        self._started += 1
        if at <= self.until:
            heapq.heappush(self._scripts, (at, self._started, script))

    def play(self, to: int) -> None:
        """Let everything happen that happens up to `to`, in one commit."""

        def work(tx: Tx, context: Context) -> None:
            self._tx, self._context = tx, context
            try:
                while self._scripts and self._scripts[0][0] <= to:
                    at, number, script = heapq.heappop(self._scripts)
                    self._tick(at)
                    self.now = max(at, self.now)
                    try:
                        following = next(script, None)
                    except Reached:
                        continue
                    if following is not None and following <= self.until:
                        heapq.heappush(self._scripts, (following, number, script))
                self._tick(to, last=to == self.until)
            finally:
                self._tx = self._context = None

        self._district.writer.submit_blocking(work, actor="demo")

    def _tick(self, to: int, *, last: bool = False) -> None:
        """Fire what falls due before the next act, at the grid of the demo's ticks."""
        assert self._tx is not None  # noqa: S101  # only called while playing
        while (due := nearest_due(self._tx)) is not None and due <= to:
            at = -(-max(due, self.now) // TICK_EVERY) * TICK_EVERY
            if at > to:
                if not last:
                    return
                at = to
            self.now = max(self.now, at)
            if not self.run(tick_work()).cases:
                return

    def run(self, work: Work[Any], *, actor: str = "system") -> Any:
        """Run a work at the story's now."""
        assert self._tx is not None  # noqa: S101  # scripts run only while playing
        assert self._context is not None  # noqa: S101
        context = msgspec.structs.replace(
            self._context, now=self.now, wall=self.now, chance=self._chance, actor=actor
        )
        value = work(self._tx, context)
        return value.make() if isinstance(value, Later) else value

    # --- people ------------------------------------------------------------------------------------------------------

    def sign_in(self, username: str, device: str) -> None:
        """Enrol a device as signing in does; the session itself is not kept."""

        def work(tx: Tx, context: Context) -> Caller:
            account = tx.find("account", {"username": username})[0]
            opened = open_session(tx, context, account=account, device_id=None, device_name=device)
            assert opened is not None  # noqa: S101  # the account was read in this transaction
            end_sessions_of(tx, context, account["pk"])
            row = tx.find("device", {"id": opened.device_id, "user_pk": account["pk"]})[0]
            registered = row["registered_seq"]
            return Caller(account["pk"], account["id"], username, row["pk"], row["id"], registered, {})

        self.phones[username] = Phone(self.run(work))

    def id_of(self, username: str) -> str:
        """The account id of somebody."""
        return self.phones[username].caller.user_id

    def new_id(self) -> str:
        """An id as a phone makes it."""
        return self._chance.uuid7(self.now)

    # --- doing -------------------------------------------------------------------------------------------------------

    def push(self, username: str, collection: Collection, *documents: dict[str, Any]) -> list[dict[str, Any]]:
        """Push documents from somebody's phone; the server's answers."""
        phone = self.phones[username]
        rows = []
        for document in documents:
            phone.writes += 1
            rows.append({"newDocumentState": {"w": f"{phone.writes}:{self.new_id()}"} | document})
        body = msgspec.json.encode(rows)
        answers: list[dict[str, Any]] = msgspec.json.decode(
            self.run(push_work(phone.caller, collection, body), actor=self._actor(username))
        )
        return answers

    def seen(self, username: str, case_id: str) -> dict[str, Any]:
        """A case as somebody's phone has it after its next pull."""
        assert self._tx is not None  # noqa: S101  # scripts run only while playing
        assert self._context is not None  # noqa: S101
        config = self._context.configs.get(self._tx)
        caller = self.phones[username].caller
        page = pull(
            self._tx, config, caller, Collection.cases, None, 1000, keys=self._context.keys, now=self.now
        )
        documents = msgspec.json.decode(page.body)["documents"]
        found: dict[str, Any] = next(doc for doc in documents if doc["id"] == case_id)
        return found

    def edit(self, username: str, known: dict[str, Any], **changes: Any) -> None:
        """Push a change made to a case as the phone knew it."""
        phone = self.phones[username]
        phone.writes += 1
        new = known | changes | {"w": f"{phone.writes}:{self.new_id()}"}
        body = msgspec.json.encode([{"newDocumentState": new, "assumedMasterState": known}])
        self.run(push_work(phone.caller, Collection.cases, body), actor=self._actor(username))

    def level(self, case_id: str) -> int:
        """The highest open row of the leaders' queue for a case, 0 for none."""
        assert self._tx is not None  # noqa: S101  # scripts run only while playing
        key = content.id_bytes(Collection.cases, case_id)
        pk = self._tx.documents(Collection.cases, [key])[0].pk
        rows = self._tx.find("escalation", {"case_pk": pk, "closed_at": None}, columns=["level"])
        return max((row["level"] for row in rows), default=0)

    def act(self, username: str, case_id: str, act: str, **args: Any) -> ActAnswer:
        """An act of somebody on a case."""
        caller = self.phones[username].caller
        answer: ActAnswer = self.run(act_work(caller, case_id, act, args), actor=self._actor(username))
        return answer

    def lead(self, username: str, case_id: str, act: str, **args: Any) -> ActAnswer | None:
        """An act of a leader on the highest open row of a case; None where no row is open."""
        assert self._tx is not None  # noqa: S101  # scripts run only while playing
        key = content.id_bytes(Collection.cases, case_id)
        pk = self._tx.documents(Collection.cases, [key])[0].pk
        rows = self._tx.find("escalation", {"case_pk": pk, "closed_at": None}, order=["-level"], limit=1)
        if not rows:
            return None
        caller = self.phones[username].caller
        work = queue_act_work(caller, rows[0]["id"], act, args)
        answer: ActAnswer = self.run(work, actor=self._actor(username))
        return answer

    def _actor(self, username: str) -> str:
        return f"user:{self.phones[username].caller.user_id}"

    def case(self, case_id: str) -> dict[str, Any]:
        """A case as it stands, what the server keeps to itself included."""
        assert self._tx is not None  # noqa: S101  # scripts run only while playing
        assert self._context is not None  # noqa: S101
        key = content.id_bytes(Collection.cases, case_id)
        return content.whole(self._tx.documents(Collection.cases, [key])[0], self._context.keys)

    def is_open(self, case_id: str, kind: str) -> bool:
        """Whether a task of this type waits on the case."""
        assert self._tx is not None  # noqa: S101  # scripts run only while playing
        assert self._context is not None  # noqa: S101
        key = content.id_bytes(Collection.cases, case_id)
        case = self._tx.documents(Collection.cases, [key])[0]
        tasks = (
            content.whole(doc, self._context.keys)
            for doc in self._tx.children([case.pk], collection=Collection.tasks)
        )
        return any(task["type"] == kind and task.get("closed_at") is None for task in tasks)

    # --- time --------------------------------------------------------------------------------------------------------

    def office(self, at: int) -> int:
        """The instant itself in office hours, else one soon after they begin again."""
        day, clock = divmod(at + self._calendar.offset, DAY)
        for ahead in range(30):
            for opens, closes in hours_of(self._calendar, day + ahead):
                if ahead or clock < closes:
                    inside = max(clock, opens) if not ahead else opens
                    late = self.rng.randrange(25) * MINUTE if inside == opens else 0
                    return (day + ahead) * DAY + inside + late - self._calendar.offset
        return at

    def after(self, hours: float, at: int | None = None) -> int:
        """About so many office hours from now, between 70 and 130 per cent of them."""
        amount = int(hours * self.rng.uniform(0.7, 1.3) * HOUR)
        return add_office(self._calendar, self.now if at is None else at, max(amount, MINUTE))

    def unsigned_at(self, level: int, slack: float = 0.4, *, stays: bool = True) -> int:
        """When a case must have been dispatched to have climbed just so far today for want of a signature.

        The rungs are those of the default rules: four office hours, then one and three working days. `slack` office
        hours at least have passed since the rung; the next one is as near as it can be without coming by itself while
        somebody looks, if it `stays`.
        """
        latest = add_office(self._calendar, self.until, -int(slack * HOUR))
        at = add_office(self._calendar, latest, -4 * HOUR)
        found: list[tuple[int, int]] = []
        for _ in range(200):
            due = add_office(self._calendar, at, 4 * HOUR)
            rungs = (due, self.after_days(1, due), self.after_days(3, due), FAR)
            if rungs[level - 1] <= latest:
                if not stays:
                    return at
                if rungs[level] >= self.until + 15 * MINUTE:
                    found.append((rungs[level], -at))
            at = add_office(self._calendar, at, -HOUR // 2)
        return -min(found)[1]

    def after_days(self, count: int, at: int) -> int:
        """The close of the office so many working days after an instant."""
        return add_span(self._calendar, at, parse_span(f"{count}wd"))

    def days_to_unknown_year(self) -> int | None:
        """Natural days from today to a date in the next year whose holidays are not known; None where it is far."""
        today = date_of(self._calendar, self.until)
        days = (date(today.year + 1, 1, 12) - today).days
        ahead = provisional_years(self._calendar, self.until, self.until + days * DAY)
        return days if ahead and days <= 90 else None

    def days(self, count: float) -> int:
        """An office instant about so many days from now."""
        return self.office(self.now + int(count * self.rng.uniform(0.9, 1.1) * DAY))

    def before(self, hours: float) -> int:
        """The office instant so many office hours before today's now."""
        return add_office(self._calendar, self.until, -int(hours * HOUR))

    def working_day(self, at: int) -> bool:
        """Whether the office opens at all on that day."""
        return bool(hours_of(self._calendar, day_of(self._calendar, at)))

    def _verify(self, tx: Tx, context: Context) -> int:
        due = unsampled(tx, context.configs.get(tx), context.keys, now=context.now)
        return verify_unsampled(due)(tx, context)

    def upkeep(self, every: int = DAY) -> Script:
        """What the system does by itself each morning."""
        while True:
            self.run(self._verify)
            yield self.now + every
