"""The tick of the clocks: what is due in a district takes effect.

The nearest due instant of a district is kept in memory and asked for anew only when something was committed, so that a
tick with nothing due costs no query, however many districts there are.
"""

from weakref import WeakKeyDictionary

from msgspec import Struct

from server.districts import District
from server.jobs.schedule import Job
from server.runtime import Runtime
from sync.firing import nearest_due, tick_work

_SECONDS = 5


class _Nearest(Struct, frozen=True):
    """When something is next due (domain time, ms; None: never), as of a head."""

    epoch: int
    seq: int
    due: int | None


class Escalator:
    """Ticks every district; what several processes or late ticks do twice takes effect once, by the firing's key."""

    def __init__(self) -> None:
        self._nearest: WeakKeyDictionary[District, _Nearest] = WeakKeyDictionary()

    async def tick(self, runtime: Runtime) -> None:
        """Let everything take effect that is due now."""
        for district in list(runtime.districts.values()):
            while await self._due(district) and (await district.writer.submit(tick_work())).cases:
                self._nearest.pop(district, None)

    async def _due(self, district: District) -> bool:
        head = district.head
        known = self._nearest.get(district)
        if known is None or (known.epoch, known.seq) != (head.epoch, head.seq):
            known = _Nearest(head.epoch, head.seq, await district.read(nearest_due))
            self._nearest[district] = known
        return known.due is not None and known.due <= district.clock.now_ms()


JOBS = (Job("escalate", _SECONDS, Escalator().tick),)
