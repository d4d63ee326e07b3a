"""How long to wait after wrong passwords, counted per account and per enrolled device.

A password that is still being looked at counts like a wrong one: forty sent at once are five tries.
A stranger who tries a name out locks strangers only: a phone that has been enrolled keeps a count of its own.
Names that do not exist are locked alike, so that the answer does not tell which names there are.
"""

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

FREE_TRIES = 5
FIRST_WAIT_MS = 30_000
LONGEST_WAIT_MS = 30 * 60_000
_NAMES_MAX = 10_000
_PER_ADDRESS = 300  # sign-ins from one address in a minute: an office behind one router starts work together
_MINUTE_MS = 60_000


def wait_after(failures: int) -> int:
    """Milliseconds to wait after so many failures in a row: none up to four, then doubling up to half an hour."""
    if failures < FREE_TRIES:
        return 0
    return min(FIRST_WAIT_MS << min(failures - FREE_TRIES, 20), LONGEST_WAIT_MS)


def may_try(failures: int, under_way: int) -> bool:
    """Whether one more password may be looked at while others of the same account or device are.

    After a wait there is one try, however many have failed before.
    """
    return under_way < max(1, FREE_TRIES - failures)


class Tries:
    """How many passwords of an account or an enrolled device are being looked at in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: Counter[tuple[str, str, str]] = Counter()

    @contextmanager
    def one(self, district: str, username: str, device_id: str) -> Iterator[int]:
        """Count one try until its end; the value is how many were under way before.

        What has failed must be asked within: a try that ended earlier stands there, any other in the value.
        """
        key = (district, username, device_id)
        with self._lock:
            before = self._under_way[key]
            self._under_way[key] += 1
        try:
            yield before
        finally:
            with self._lock:
                self._under_way[key] -= 1
                if not self._under_way[key]:
                    del self._under_way[key]


class _Count(Struct):
    failures: int = 0
    until: int = 0


class Phantoms:
    """Failures of names that do not exist, kept in memory and bounded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: OrderedDict[tuple[str, str], _Count] = OrderedDict()

    def locked_until(self, district: str, username: str) -> int:
        """Wall time until which the name is locked, 0 if it is not."""
        with self._lock:
            found = self._counts.get((district, username))
            return found.until if found else 0

    def failures(self, district: str, username: str) -> int:
        """How often the name was tried in vain."""
        with self._lock:
            found = self._counts.get((district, username))
            return found.failures if found else 0

    def failed(self, district: str, username: str, wall: int) -> None:
        """Count one more failure."""
        with self._lock:
            count = self._counts.setdefault((district, username), _Count())
            self._counts.move_to_end((district, username))
            count.failures += 1
            wait = wait_after(count.failures)
            count.until = wall + wait if wait else 0
            while len(self._counts) > _NAMES_MAX:
                self._counts.popitem(last=False)


class PerMinute:
    """How much somebody may ask for in a minute: sign-ins of a network address, comparisons of a device."""

    def __init__(self, per_minute: int = _PER_ADDRESS) -> None:
        self._lock = threading.Lock()
        self._per_minute = per_minute
        self._seen: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def allows(self, whom: str, now: int, cost: int = 1) -> bool:
        """Count a try at `now` (ms); False when this minute's are used up."""
        minute = now // _MINUTE_MS
        with self._lock:
            last, count = self._seen.get(whom, (minute, 0))
            count = count + cost if last == minute else cost
            self._seen[whom] = (minute, count)
            self._seen.move_to_end(whom)
            while len(self._seen) > _NAMES_MAX:
                self._seen.popitem(last=False)
        return count <= self._per_minute
