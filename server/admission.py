"""Who may come in now, and who is asked to wait: budgets of devices, first plans in turn, pushes before pulls.

FL6 to FL8 of ``sync/PROTOCOL.md``. All of it is kept in the memory of this process: several processes admit each on
their own, and a restart forgets. Nothing is stored for whoever is asked to wait, and nothing of theirs is lost: a phone
keeps what it has until it is answered. Health, figures, signing in and signing out never pass here.
"""

import math
from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from typing import ClassVar

from msgspec import Struct

from server.auth.callers import Caller
from server.auth.guards import Connection
from server.clocks import monotonic_ms
from server.errors import TooManyRequests
from server.metrics import Metrics
from server.settings import Settings
from sync.errors import SyncError

_MINUTE_MS = 60_000
_NOTHING = 1e-6  # what is lost in adding up little by little
_DEVICES_MAX = 50_000
_LINE_MAX = 20_000
LEASE_MS = (
    15_000  # a phone that asked for no page for so long is not in the middle of its first plan any more
)
PLACE_MS = 90_000  # and one that did not ask again for so long has left the line
_PLAN_MS = 3_000  # what a first plan is taken to last before any was seen
_WAIT_S = (2, 60)
PULLS = 200  # pulls of a district under way; more are asked to come again
PUSHES_FIRST = 64  # works waiting for the writer from which on pulls stand back
PULLS_BESIDE_PUSHES = 4

Device = tuple[str, int]  # district, key of the device


class SyncWaits(SyncError):
    """Many phones synchronise now; it is not this one's turn yet."""

    code: ClassVar[str] = "sync_waits"
    status: ClassVar[int] = 503


class _Account(Struct):
    """What a device has left; below zero it has had in advance."""

    requests: float
    rows: float
    bytes: float
    at: int


class Budgets:
    """Requests, rows and bytes a minute of each device; so much may also come in one go. 0: no bound.

    Rows and bytes are charged when they are known, so that no batch is too large ever to be let in.
    """

    def __init__(self, requests: int, rows: int, octets: int) -> None:
        self._sizes = (requests, rows, octets)
        self._accounts: OrderedDict[Device, _Account] = OrderedDict()

    def admit(self, device: Device, now: int) -> None:
        """Count one request at `now` (ms, monotone); raises ``TooManyRequests``."""
        account = self._account(device, now)
        waits = [
            -left * _MINUTE_MS / size
            for left, size in zip(
                (account.requests - 1, account.rows, account.bytes), self._sizes, strict=True
            )
            if size and left < -_NOTHING
        ]
        if waits:
            raise TooManyRequests(retry_after=max(1, math.ceil(max(waits) / 1000)))
        account.requests -= 1

    def charge(self, device: Device, now: int, rows: int, octets: int) -> None:
        """Take off what was sent or received."""
        account = self._account(device, now)
        account.rows -= rows
        account.bytes -= octets

    def _account(self, device: Device, now: int) -> _Account:
        requests, rows, octets = self._sizes
        account = self._accounts.get(device)
        if account is None:
            account = self._accounts[device] = _Account(requests, rows, octets, now)
            while len(self._accounts) > _DEVICES_MAX:
                self._accounts.popitem(last=False)
        share = max(0, now - account.at) / _MINUTE_MS
        account.requests = min(requests, account.requests + share * requests)
        account.rows = min(rows, account.rows + share * rows)
        account.bytes = min(octets, account.bytes + share * octets)
        account.at = now
        self._accounts.move_to_end(device)
        return account


class _Plan(Struct):
    began: int
    until: int
    collections: set[str]


class FirstPlans:
    """Phones that get everything, or nearly: so many at once, the others in the order they came."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._running: dict[Device, _Plan] = {}
        self._line: OrderedDict[Device, int] = OrderedDict()  # until when the place is kept
        self._plan_ms = float(_PLAN_MS)

    @property
    def running(self) -> int:
        """Phones in the middle of a first plan."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Phones in the line."""
        return len(self._line)

    def enter(self, device: Device, collection: str, now: int, *, closed: bool = False) -> bool:
        """One more page of a first plan: whether it begins one. Raises ``SyncWaits`` with the place in the line.

        `closed`: nobody new is let in now; who is inside goes on.
        """
        self._tidy(now)
        plan = self._running.get(device)
        if plan is None:
            free = 0 if closed else self._slots - len(self._running)
            place = next(
                (place for place, waits in enumerate(self._line) if waits == device), len(self._line)
            )
            if self._slots and place >= free:
                self._wait(device, place, now)
            self._line.pop(device, None)
            plan = self._running[device] = _Plan(now, now, set())
        fresh = not plan.collections
        plan.collections.add(collection)
        plan.until = now + LEASE_MS
        return fresh

    def leave(self, device: Device) -> None:
        """What it asked was no first plan: the next phone may come."""
        self._running.pop(device, None)

    def _wait(self, device: Device, place: int, now: int) -> None:
        if device in self._line or len(self._line) < _LINE_MAX:
            self._line[device] = now + PLACE_MS
        low, high = _WAIT_S
        seconds = math.ceil((place + 1) / self._slots * self._plan_ms / 1000)
        raise SyncWaits(retry_after=max(low, min(seconds, high)), position=place + 1)

    def finished(self, device: Device, collection: str, now: int) -> None:
        """The first plan of a collection is done; with the last of them the next phone may come."""
        plan = self._running.get(device)
        if plan is not None:
            plan.collections.discard(collection)
            if not plan.collections:
                del self._running[device]
                self._plan_ms += (min(now - plan.began, _MINUTE_MS) - self._plan_ms) / 8

    def _tidy(self, now: int) -> None:
        for device in [device for device, plan in self._running.items() if plan.until < now]:
            del self._running[device]
        for device in [device for device, until in self._line.items() if until < now]:
            del self._line[device]


def admitted(connection: Connection, caller: Caller) -> tuple["Admission", Device]:
    """FL7: counts a request of the caller's device; raises ``TooManyRequests``."""
    admission: Admission = connection.app.state.admission
    device = (caller.district, caller.device_pk)
    admission.admit(device, monotonic_ms())
    return admission, device


def charged(connection: Connection, caller: Caller, octets: int) -> None:
    """FL7: bytes of a file that the caller's device has sent."""
    admission: Admission = connection.app.state.admission
    admission.charge((caller.district, caller.device_pk), monotonic_ms(), 0, octets)


class Admission:
    """The three of them together; from the loop only."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.budgets = Budgets(settings.device_requests, settings.device_rows, settings.device_bytes)
        self.first_plans = FirstPlans(settings.first_plans)
        self._pulls: dict[str, int] = {}
        self._metrics = metrics
        metrics.describe(
            "wangge_asked_to_wait_total", "Requests of phones that were told to come again, by reason."
        )
        metrics.gauge(
            "wangge_first_plans", "Phones in their first plan.", lambda: [((), self.first_plans.running)]
        )
        metrics.gauge(
            "wangge_first_plans_waiting",
            "Phones in the line for it.",
            lambda: [((), self.first_plans.waiting)],
        )

    def admit(self, device: Device, now: int) -> None:
        """FL7: one request; raises ``TooManyRequests``."""
        with self._counted("budget"):
            self.budgets.admit(device, now)

    def charge(self, device: Device, now: int, rows: int, octets: int) -> None:
        """FL7: what it carried."""
        self.budgets.charge(device, now, rows, octets)

    @contextmanager
    def pull(
        self, device: Device, collection: str, pushes_waiting: int, now: int, *, far_behind: bool
    ) -> Generator[None, None, None]:
        """FL6: one pull, `far_behind` a page of a first plan or of one like it; raises ``SyncWaits``."""
        district = device[0]
        pushes = pushes_waiting >= PUSHES_FIRST
        with self._counted("pulls"):
            if self._pulls.get(district, 0) >= (PULLS_BESIDE_PUSHES if pushes else PULLS):
                raise SyncWaits(retry_after=_WAIT_S[0])
        fresh = False
        if far_behind:
            with self._counted("first_plans"):
                fresh = self.first_plans.enter(device, collection, now, closed=pushes)
        self._pulls[district] = self._pulls.get(district, 0) + 1
        try:
            yield
        except SyncError:
            if fresh:
                self.first_plans.leave(device)  # a phone with a fault keeps no place from a sound one
            raise
        finally:
            self._pulls[district] -= 1

    @contextmanager
    def _counted(self, why: str) -> Generator[None, None, None]:
        try:
            yield
        except SyncError:
            self._metrics.count("wangge_asked_to_wait_total", (("why", why),))
            raise
