"""Time: the wall clock for sessions and ids, the domain clock for terms and calendars.

The domain clock of a demo or test district can be moved by a file; the wall clock never is.
"""

import json
import time
from pathlib import Path


def wall_ms() -> int:
    """Real time in milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """A clock that only goes forward, for waiting and for caches."""
    return time.monotonic_ns() // 1_000_000


class DomainClock:
    """The time that cases live in: the wall clock, shifted by what the clock file says (``{"offset_ms": n}``)."""

    def __init__(self, clock_file: Path | None = None) -> None:
        self._file = clock_file
        self._stamp: tuple[int, int] | None = None
        self._offset = 0

    def now_ms(self) -> int:
        """Domain time in milliseconds since 1970, UTC."""
        return wall_ms() + self.offset_ms()

    def offset_ms(self) -> int:
        """How far the domain clock is ahead; a file that cannot be read keeps the last known shift."""
        if self._file is None:
            return 0
        try:
            found = self._file.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if stamp != self._stamp:
                self._offset = int(json.loads(self._file.read_text(encoding="utf-8"))["offset_ms"])
                self._stamp = stamp
        except FileNotFoundError:
            self._offset, self._stamp = 0, None
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return self._offset

    def advance(self, milliseconds: int) -> None:
        """Move the clock forward for everybody who reads the same file; raises ``ValueError`` without a file."""
        if self._file is None:
            raise ValueError("This clock cannot be moved.")
        beside = self._file.with_suffix(".new")
        beside.write_text(json.dumps({"offset_ms": self.offset_ms() + milliseconds}), encoding="utf-8")
        beside.replace(self._file)
