"""How large the scopes of those who call are: counted when a phone says hello, at most every ten minutes a person."""

from collections import Counter, OrderedDict
from collections.abc import Iterable

from server.clocks import monotonic_ms
from server.metrics import Labels
from sync.config import Config
from sync.scope import Scope, measure
from sync.store import Reader

KEPT_MS = 600_000
_KEPT_MAX = 50_000
_Key = tuple[str, int, int, int]  # district, epoch and version of its configuration, account


class Scopes:
    """What is known of them in this process; readers ask from several threads, each for one person."""

    def __init__(self) -> None:
        self._known: OrderedDict[_Key, tuple[int, Scope]] = OrderedDict()

    def of(self, reader: Reader, config: Config, user_pk: int) -> Scope:
        """The scope of somebody; counted anew when it is old, or when rights have changed since."""
        key, now = (config.district, config.epoch, config.version, user_pk), monotonic_ms()
        known = self._known.get(key)
        if known is None or now - known[0] > KEPT_MS:
            known = self._known[key] = now, measure(reader, config, user_pk)
            while len(self._known) > _KEPT_MAX:
                self._known.popitem(last=False)
        return known[1]

    def figures(self) -> Iterable[tuple[Labels, float]]:
        """Large and full ones, for the metrics; a person counts once, as last counted."""
        newest = {(key[0], key[3]): scope.state for key, (_, scope) in list(self._known.items())}
        counts = Counter(newest.values())
        return [((("state", state),), counts[state]) for state in ("large", "full")]
