"""What a stopped device still holds: handed in, it waits for a person of the centre and changes nothing (PU13).

Whoever found or took the phone may be the one who pushes. So nothing is believed unseen, nothing is lost, and no
document leaves by the answer.
"""

from sync.batch import Batch
from sync.facts import Facts
from sync.pull import Caller
from sync.push_cases import aside, is_duplicate
from sync.rows import PushRow
from sync.values import Collection

REASON = "device_revoked"
# Nobody wrote these: a phone reads them, and says at most that it did.
_UNTOLD = frozenset({Collection.tasks, Collection.notices, Collection.cells})


def keep(batch: Batch, facts: Facts, caller: Caller, row: PushRow, collection: int) -> None:
    """PU13 for one row: put aside whole, unless the server has it already."""
    doc = facts.docs.get((collection, row.key)) if row.key else None
    if doc is None or not is_duplicate(batch, facts, doc, row):
        aside(
            batch, facts, caller, row, caller.kept_for or REASON, collection, tell=collection not in _UNTOLD
        )
