"""Taking back what one act has done to a batch, when it broke half way.

A batch is written whole or not at all, and a phone sends a day in one: an act that fails unexpectedly must leave the
other rows as they are and nothing of its own behind.
"""

from collections.abc import Callable
from typing import Any, Final

from sync.batch import Batch, Item

_ROWS: Final = (
    "places",
    "classes",
    "opened",
    "closed",
    "ledger",
    "quarantine",
    "firings",
    "query_codes",
    "effects",
)
_BY_KEY: Final = ("clocks", "escalations", "series")
_OF_ITEM: Final = ("doc", "created", "moved", "wrote", "fresh", "final")


def way_back(batch: Batch, case: Item, *others: Item | None) -> Callable[[], None]:
    """Remember the batch before an act on `case`; what is returned brings it back to that.

    Kept are the case, what hangs on it and `others`: an act touches nothing else. Chance that was drawn stays drawn.
    """
    count = len(batch.items)
    touched = {item.doc.pk for item in (case, *others) if item is not None}
    kept = [
        (item, dict(item.values), dict(item.old), {name: getattr(item, name) for name in _OF_ITEM})
        for item in batch.items.values()
        if item.doc.pk in touched or item.doc.case_pk == case.doc.pk
    ]
    lengths = {name: len(getattr(batch, name)) for name in _ROWS}
    tables: dict[str, dict[Any, Any]] = {name: dict(getattr(batch, name)) for name in _BY_KEY}
    next_pk, ledgered = batch.next_pk, set(batch.ledgered)

    def back() -> None:
        while len(batch.items) > count:
            batch.items.popitem()  # in the order they came: the newest first
        for item, values, old, rest in kept:
            item.values, item.old = values, old
            for name, value in rest.items():
                setattr(item, name, value)
        for name, length in lengths.items():
            del getattr(batch, name)[length:]
        for name, table in tables.items():
            setattr(batch, name, table)
        batch.next_pk, batch.ledgered = next_pk, ledgered

    return back
