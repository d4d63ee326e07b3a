"""``wangge phones simulate``: grid workers' phones against a running server, over real HTTP.

Each phone signs in, pulls what its worker may see, goes out of reach, writes disputes, visits and notes, comes back,
pushes, adopts what the server says, and repeats what got lost on the way. In the end everything acknowledged is looked
for on the server by a pull from zero, and every phone is compared with what a new one would get.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx
from msgspec import Struct

from server.clocks import wall_ms
from server.phones_device import CAPTURED, Phone
from server.phones_line import Account, Figures, Line, LineError, Lost
from server.phones_shelf import Document, Shelf
from sync.placing import PERSON, RAISED

Tell = Callable[[str], None]
_MARKS = {"cases": "source_ref", "visits": "place_text"}  # where a capture's mark stands
_SIGN_INS = 10
_CHECKS_AT_ONCE = 4


class Latency(Struct, frozen=True):
    """Of one kind of request; ms."""

    count: int
    p50: float
    p95: float
    p99: float
    worst: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Latency":
        """Of at least one value."""
        ranked = sorted(values)
        p50, p95, p99 = (ranked[int((len(ranked) - 1) * share)] for share in (0.5, 0.95, 0.99))
        return cls(len(ranked), p50, p95, p99, ranked[-1])


class Summary(Struct, frozen=True, kw_only=True):
    """What became of a simulation.

    repeated: writes sent again because no answer had come. adopted: rows answered with something else than was sent.
    evicted: acknowledged captures that left the phone's scope. What must stay empty, each as `phone collection id`:
    missing (acknowledged, and a pull from zero does not bring it), unsent (never got through), doubled (stands on the
    server more than once), diverged (phone and server differ at the end), misplaced (a fix well inside a cell, put
    into another), failures (the server refused a phone, or stayed out of reach).
    """

    phones: int
    seconds: float
    captured: dict[str, int]
    acknowledged: int
    evicted: int
    edits: int
    repeated: int
    adopted: int
    lost_requests: int
    lost_replies: int
    waits: int
    pokes: int
    latencies: dict[str, Latency]
    missing: list[str]
    unsent: list[str]
    doubled: list[str]
    diverged: list[str]
    misplaced: list[str]
    failures: list[str]

    @property
    def wrong(self) -> dict[str, list[str]]:
        """What must be empty and is not, by name."""
        names = ("missing", "unsent", "doubled", "diverged", "misplaced", "failures")
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    @property
    def ok(self) -> bool:
        """Whether nothing was lost, doubled, misplaced or left apart."""
        return not self.wrong


class End(Struct, frozen=True):
    """What the check of one phone found; see ``Summary``."""

    phone: Phone
    missing: list[str]
    doubled: list[str]
    misplaced: list[str]
    evicted: int
    diverged: list[str] = []


def check_phone(phone: Phone, fresh: dict[str, Shelf], apart: Sequence[str] = ()) -> End:
    """Hold a phone's captures against what a pull from zero brought; `apart` is what differs already."""
    missing: list[str] = []
    doubled: list[str] = []
    evicted = 0
    for name in CAPTURED:
        there = fresh[name].documents()
        for key in phone.captured[name]:
            if (name, key) not in phone.acknowledged or key in there:
                continue
            if key in phone.shelves[name].evicted:
                evicted += 1
            else:
                missing.append(f"{phone.name} {name} {key}")
    for name, field in _MARKS.items():
        marks = Counter(doc.get(field) for doc in fresh[name].documents().values())
        doubled += [
            f"{phone.name} {name} {mark}"
            for mark, count in marks.items()
            if count > 1 and isinstance(mark, str) and mark.startswith(phone.name)
        ]
    cases = fresh["cases"].documents()
    misplaced = [
        f"{phone.name} cases {key}"
        for key, cell in phone.expected_cell.items()
        if key in cases and cases[key].get("cell") not in {None, cell} and not _may_differ(cases[key], cell)
    ]
    return End(phone, missing, doubled, misplaced, evicted, [f"{phone.name} {line}" for line in apart])


def _may_differ(case: Document, cell: str) -> bool:
    """Whether a person has said otherwise, or the fix was too vague to name this cell alone."""
    assignment = case.get("assignment") or {}
    method = assignment.get("method")
    return method == PERSON or (method == RAISED and cell in assignment.get("candidates", ()))


async def simulate(
    base_url: str,
    accounts: Sequence[Account],
    *,
    phones: int,
    rounds: int,
    seed: int = 0,
    loss: float = 0.1,
    pause: float = 0.5,
    spread: float = 0.0,
    sessions: Sequence[dict[str, Any]] = (),
    tell: Tell = lambda _step: None,
) -> Summary:
    """Play `phones` phones for `rounds` rounds each, then heal and look.

    Accounts are dealt round: with more phones than accounts one person has several. A round is up to `pause` seconds
    out of reach, some writing, a contact of whose requests the share `loss` is lost (on the way there or back), and
    up to `pause` seconds of waiting for a poke. The first contacts are spread over `spread` seconds. Phones with
    `sessions`, as answered to a sign-in, go on with those. `tell` hears of each phone's steps: ``round``, ``heal``,
    ``check``.
    """
    figures = Figures()
    failures: list[str] = []
    begun = time.perf_counter()
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=2 * phones)

    async def each(step: str, phone: Phone, work: Awaitable[None]) -> None:
        try:
            await work
        except (Lost, LineError) as error:
            told = str(error) if isinstance(error, LineError) else "the server cannot be reached"
            failures.append(f"{phone.name} {step}: {told}")
        if step != "round":
            tell(step)

    async with httpx.AsyncClient(base_url=base_url, limits=limits, trust_env=False) as client:
        played = _phones(client, accounts, figures, phones=phones, seed=seed, loss=loss)
        ends: list[End] = []
        few = asyncio.Semaphore(_CHECKS_AT_ONCE)

        async def check(phone: Phone) -> None:
            async with few:
                ends.append(check_phone(phone, *await phone.compare()))

        held = dict(zip(played, sessions, strict=False))
        days = [_days(phone, rounds, pause, spread, held.get(phone), tell) for phone in played]
        await asyncio.gather(*(each("round", phone, day) for phone, day in zip(played, days, strict=True)))
        known = [phone for phone in played if phone.line.user]  # who never got in has written nothing
        await asyncio.gather(*(each("heal", phone, phone.heal()) for phone in known))
        await asyncio.gather(*(each("check", phone, check(phone)) for phone in known))
    return _summary(played, ends, figures, time.perf_counter() - begun, failures)


def _phones(
    client: httpx.AsyncClient,
    accounts: Sequence[Account],
    figures: Figures,
    *,
    phones: int,
    seed: int,
    loss: float,
) -> list[Phone]:
    run = f"{wall_ms():x}"  # tells the marks of one run from those of another
    played = []
    for number in range(phones):
        chance = random.Random(f"{seed}/{number}")  # noqa: S311  # the same seed plays the same day
        account = accounts[number % len(accounts)]
        line = Line(client, account, chance, figures, loss=loss)
        played.append(Phone(f"{run}-{account.username}-{number}", line, chance))
    return played


async def _days(
    phone: Phone, rounds: int, pause: float, spread: float, session: dict[str, Any] | None, tell: Tell
) -> None:
    await asyncio.sleep(phone.line.chance.uniform(0, spread))
    if session is not None:
        phone.line.resume(session)
    else:
        await _sign_in(phone)
    async with phone.line.pokes() as poked:
        await phone.contact()
        for _ in range(rounds):
            await asyncio.sleep(phone.line.chance.uniform(0, pause))
            phone.work()
            poked.clear()
            await phone.contact()
            try:
                await asyncio.wait_for(poked.wait(), pause)
                await phone.contact()
            except TimeoutError:
                pass
            tell("round")


async def _sign_in(phone: Phone) -> None:
    for _ in range(_SIGN_INS):
        try:
            await phone.line.sign_in(phone.name)
        except Lost:
            await asyncio.sleep(0.5)
        else:
            return
    raise Lost


def _summary(
    played: Sequence[Phone], ends: Sequence[End], figures: Figures, seconds: float, failures: list[str]
) -> Summary:
    captured = {name: sum(len(phone.captured[name]) for phone in played) for name in CAPTURED}
    own = {(name, key) for phone in played for name in CAPTURED for key in phone.captured[name]}
    acknowledged = {pair for phone in played for pair in phone.acknowledged}
    return Summary(
        phones=len(played),
        seconds=seconds,
        captured=captured,
        acknowledged=len(own & acknowledged),
        evicted=sum(end.evicted for end in ends),
        edits=sum(phone.edits for phone in played),
        repeated=sum(phone.repeated for phone in played),
        adopted=sum(shelf.adopted for phone in played for shelf in phone.shelves.values()),
        lost_requests=figures.lost_requests,
        lost_replies=figures.lost_replies,
        waits=figures.waits,
        pokes=figures.pokes,
        latencies={kind: Latency.of(values) for kind, values in sorted(figures.latencies.items())},
        missing=[line for end in ends for line in end.missing],
        unsent=[f"{phone.name} {line}" for phone in played for line in phone.unsent()],
        doubled=[line for end in ends for line in end.doubled],
        diverged=[line for end in ends for line in end.diverged],
        misplaced=[line for end in ends for line in end.misplaced],
        failures=failures,
    )


def main(arguments: Sequence[str]) -> None:
    """The command line; ends the process."""
    from server.phones_command import simulate_command

    simulate_command.main(list(arguments), prog_name="wangge phones simulate")


__all__ = ["Account", "End", "Latency", "Phone", "Summary", "check_phone", "main", "simulate"]
