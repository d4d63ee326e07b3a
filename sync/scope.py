"""How much lies in what somebody holds: what a phone of his carries, counted up to a bound (FL9).

It is a count of places, not of what is seen: a sealed case counts, since it did when it was open. It ends at the bound,
so it costs at most so many steps of an index, however large the district is.
"""

from typing import Any

from msgspec import Struct

from sync.batch import Batch
from sync.commit import Context, Work, write
from sync.config import Config
from sync.errors import SyncError
from sync.store import Reader, Tx
from sync.values import FOREVER, Place

LARGE = 5_000  # documents from which on a phone grows slow
FULL = 20_000
POLICY = "scope_policy"  # setting of the district: `warn`, or `refuse` to grant more to whoever has it full
POLICIES = ("warn", "refuse")
_TOLD = "scope_told"  # setting: of whom the centre has been told, by account
_CENTRE = frozenset({"admin", "centre_director"})
# Who works on a phone and carries what his places hold; others have lists at a desk.
PHONE_ROLES = frozenset({"grid_worker", "grid_assistant", "grid_leader"})


class ScopeFull(SyncError):
    """So much lies in what this person holds already that a phone cannot carry more."""

    code = "scope_full"
    status = 409


class Scope(Struct, frozen=True):
    """`documents` is exact below `FULL` and means "so many or more" there."""

    documents: int

    @property
    def state(self) -> str:
        """`ok`, `large` or `full`."""
        if self.documents >= FULL:
            return "full"
        return "large" if self.documents >= LARGE else "ok"

    def told(self, *, refuse: bool) -> dict[str, Any]:
        """What a phone is told: no figure, since what lies in its places is not all for it to know of."""
        return {
            "large": LARGE,
            "full": FULL,
            "state": self.state,
            "policy": POLICIES[refuse],
            "detail": self._sentence(refuse=refuse),
        }

    def _sentence(self, *, refuse: bool) -> str:
        if self.state == "ok":
            return ""
        if self.state == "large":
            return f"您负责的范围内已有 {LARGE} 件以上，手机会变慢，请联系区矛调中心调整网格。"
        more = "不再增加新的授权，" if refuse else ""
        return f"您负责的范围内已有 {FULL} 件以上，{more}登记和上报不受影响，请联系区矛调中心调整网格。"


def measure(reader: Reader, config: Config, user_pk: int) -> Scope:
    """What lies in the tags this person holds now."""
    by_kind: dict[int, set[int]] = {int(kind): set() for kind in Place}
    for hold in config.holds(user_pk):
        if hold.v_to == FOREVER:
            by_kind[int(hold.kind)].add(hold.tag)
    cells = sorted(by_kind[Place.cell])
    found = 0
    for kind, tags in by_kind.items():
        if tags and found < FULL:
            # what one wrote in a cell of one's own is counted there
            but_in = () if kind == Place.cell else cells
            found += reader.count_tagged(kind, sorted(tags), but_in=but_in, most=FULL - found)
    return Scope(found)


def refuses(config: Config) -> bool:
    """Whether the district grants no more to whoever has it full."""
    return config.settings.get(POLICY) == "refuse"


def refuse_growth(tx: Tx, config: Config, user_pk: int, role: str) -> None:
    """Raises ``ScopeFull`` where one more place would be more than a phone can carry, and the district wants that."""
    if role in PHONE_ROLES and refuses(config) and measure(tx, config, user_pk).state == "full":
        raise ScopeFull(f"授权后此人负责的范围将达 {FULL} 件以上，手机无法承载；请先调整其网格。")


def tell_centre(user_pk: int, scope: Scope) -> Work[bool]:
    """Tell administrators and the centre's directors of somebody whose scope has grown, once for each state.

    Value: whether anybody was told now.
    """

    def work(tx: Tx, context: Context) -> bool:
        config = context.configs.get(tx)
        account = config.accounts[user_pk]
        name = f"{_TOLD}:{user_pk}"
        before = tx.find("setting", {"name": name})
        if scope.state == "ok" or (before and before[0]["value"] in {f'"{scope.state}"', '"full"'}):
            return False
        batch = Batch(
            tx.head(), now=context.now, chance=context.chance, keys=context.keys, actor=None, device=None
        )
        for other in config.accounts.values():
            if other.state == "active" and config.roles(other.pk) & _CENTRE:
                args = {"user": account.id, "documents": scope.documents}
                batch.notice(other.pk, other.id, "district", f"scope_{scope.state}", args)
        tx.put("setting", {"name": name, "value": f'"{scope.state}"'})
        batch.effects.append(f"user:{user_pk}")
        write(tx, batch, context, f"scope.{scope.state}")
        return True

    return work
