"""What is put aside as it comes, for a person of the centre, and changes nothing.

Whoever found or took a stopped phone may be the one who pushes (PU13): nothing is believed unseen, nothing is lost, and
no document leaves by the answer. And an app too old to be read may mean something else by what it says (EV6).
"""

from sync.batch import Batch
from sync.facts import Facts
from sync.pull import Caller
from sync.push_cases import aside, is_duplicate
from sync.rows import PushRow
from sync.values import Collection

# Nobody wrote these: a phone reads them, and says at most that it did.
_UNTOLD = frozenset({Collection.tasks, Collection.notices, Collection.cells})


def keep(batch: Batch, facts: Facts, caller: Caller, row: PushRow, collection: int, reason: str) -> None:
    """PU13, EV6 for one row: put aside whole, unless the server has it already."""
    doc = facts.docs.get((collection, row.key)) if row.key else None
    if doc is None or not is_duplicate(batch, facts, doc, row):
        aside(batch, facts, caller, row, reason, collection, tell=collection not in _UNTOLD)
