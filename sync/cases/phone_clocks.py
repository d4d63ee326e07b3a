"""When something was captured, by what the clocks of its phone said at each contact (CL1 to CL4).

A phone's clock may be years off, jump between two contacts, or start anew. What it said stays; beside it stands an
estimate on the server's clock with its error, and a flag that says how far to trust it. All times are milliseconds.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from msgspec import Struct

from sync.cases.shapes import LATEST

KEPT_MAX: Final = 32
TRUSTED_MS: Final = 5 * 60_000  # a clock that is further off is worth a word
_JUMP_MS: Final = 2_000  # what two contacts may differ by, besides their errors and the drift
_RTT_MS: Final = 5_000  # where the phone has not measured one
_RTT_MAX: Final = 60_000
_DRIFT: Final = 5_000  # a cheap quartz: one in so many
_BOOT_MAX: Final = 64
_LARGEST: Final = 1 << 53
_FLAGS: Final = ("ok", "off", "unknown", "jumped")  # the less sure the later


class Contact(Struct, frozen=True, array_like=True):
    """What the phone's clocks said when the server's said `at`; `boot` names the run of its monotonic clock."""

    at: int
    wall: int
    monotonic: int | None = None
    boot: str | None = None
    rtt: int | None = None

    @property
    def error(self) -> int:
        """How far `offset` may be wrong."""
        return (_RTT_MS if self.rtt is None else self.rtt) // 2

    @property
    def offset(self) -> int:
        """What to add to the phone's wall clock; the request was under way for half the round trip."""
        return self.at - self.wall - self.error


class Estimate(Struct, frozen=True):
    """`at` and `error` are None where nothing can be said of the instant."""

    at: int | None
    error: int | None
    flag: str


class _Guess(Struct, frozen=True):
    at: int
    error: int
    flag: str


def contact_of(told: Mapping[str, Any], at: int) -> Contact | None:
    """What a phone told of its clocks, as far as it can be; None without a wall clock."""
    wall = _number(told.get("wall"))
    if wall is None:
        return None
    boot = told.get("boot")
    rtt = _number(told.get("rtt"))
    return Contact(
        at,
        wall,
        _number(told.get("monotonic")),
        boot if isinstance(boot, str) and 0 < len(boot) <= _BOOT_MAX else None,
        None if rtt is None else min(rtt, _RTT_MAX),
    )


def _number(value: Any) -> int | None:
    whole = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LARGEST
    return int(value) if whole else None


def with_contact(contacts: Sequence[Contact], new: Contact) -> list[Contact]:
    """CL1: the contacts with one more, oldest first; of a run that agrees, the first and the last are kept."""
    kept = list(contacts)
    if len(kept) > 1 and _agree(kept[-2], kept[-1]) and _agree(kept[-1], new):
        kept.pop()
    return [*kept, new][-KEPT_MAX:]


def _agree(one: Contact, other: Contact) -> bool:
    return one.boot == other.boot and _steady(one, other)


def _steady(one: Contact, other: Contact) -> bool:
    """Whether the wall clock was not set between two contacts, or was set back again."""
    slack = _JUMP_MS + one.error + other.error + abs(other.at - one.at) // _DRIFT
    return abs(one.offset - other.offset) <= slack


def estimate(
    captured: int, contacts: Sequence[Contact], received: int, clock: Mapping[str, Any] | None = None
) -> Estimate | None:
    """CL3, CL4: when it was, by the server's clock. None where nothing is known of the phone's and nothing is odd.

    `captured` is what the phone's wall clock said, `clock` what its other one did (`monotonic`, `boot`), `received`
    when the server got it.
    """
    if not contacts:
        return Estimate(None, None, "future") if captured > received + TRUSTED_MS else None
    told = _by_both(captured, contacts, received, clock) if clock else None
    guess = told or _by_wall(captured, contacts, received)
    if guess.at - guess.error > received + _JUMP_MS:
        return Estimate(received, min(guess.at - received + guess.error, LATEST), "future")
    return Estimate(max(min(guess.at, received), 0), min(guess.error, LATEST), guess.flag)


def _corrected(captured: int, by: Contact) -> _Guess:
    at = captured + by.offset
    flag = "ok" if abs(by.offset) <= TRUSTED_MS + by.error else "off"
    return _Guess(at, by.error + abs(at - by.at) // _DRIFT, flag)


def _by_wall(captured: int, contacts: Sequence[Contact], received: int) -> _Guess:
    """Every stretch between two contacts, and the one since the last, that the phone's reading can be of."""
    found: list[_Guess] = []
    for one, other in pairwise(contacts):
        steady, slack = _steady(one, other), _JUMP_MS + one.error + other.error
        near = min((one, other), key=lambda by: abs(captured - by.wall))
        for by in (near,) if steady else (one, other):
            guess = _corrected(captured, by)
            if one.at - slack <= guess.at <= other.at + slack:
                flag = "unknown" if one.boot != other.boot else guess.flag if steady else "jumped"
                found.append(_Guess(guess.at, guess.error if steady else guess.error + slack, flag))
    since = _corrected(captured, contacts[-1])
    if contacts[-1].at - since.error <= since.at <= received + since.error:
        found.append(since)
    if not found:
        # Before all that is known of the phone, or later than now by whatever is.
        return since if since.at > received else _corrected(captured, contacts[0])
    low, high = min(one.at for one in found), max(one.at for one in found)
    worst = max(found, key=lambda one: _FLAGS.index(one.flag))
    if high - low <= _JUMP_MS + 2 * worst.error:
        return worst
    return _Guess(
        (low + high) // 2, (high - low) // 2 + worst.error, max("jumped", worst.flag, key=_FLAGS.index)
    )


def _by_both(
    captured: int, contacts: Sequence[Contact], received: int, clock: Mapping[str, Any]
) -> _Guess | None:
    """With the monotonic clock of the same run a jump after the nearest contact shows; None where it tells nothing."""
    told, boot = _number(clock.get("monotonic")), clock.get("boot")
    if told is None or boot is None:
        return None
    same = [(told - one.monotonic, one) for one in contacts if one.boot == boot and one.monotonic is not None]
    if not same:
        guess = _by_wall(captured, contacts, received)
        return _Guess(guess.at, guess.error, "unknown")
    since, near = min(same, key=lambda pair: abs(pair[0]))
    guess = _corrected(captured, near)
    counted = near.at - near.error + since
    gap = guess.at - counted
    if abs(gap) <= _JUMP_MS + abs(since) // _DRIFT:
        return guess
    before = [one for passed, one in same if passed >= 0]
    after = [one for passed, one in same if passed < 0]
    if before and after and _agree(before[-1], after[0]) and (gap > 0) == (since > 0):
        return guess  # it counts less than has passed: many a monotonic clock stands still while the phone sleeps
    return _Guess((guess.at + counted) // 2, abs(gap) // 2 + guess.error, "jumped")
