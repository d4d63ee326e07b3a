"""Works on households: taking a list of homes over, and asking for the visits that are due."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sync import content
from sync.administration import new_batch
from sync.cases.fields import FIELDS
from sync.commit import Context, Work, write
from sync.errors import Unprocessable
from sync.store import Tx
from sync.values import Collection

_FIELDS = frozenset(field.name for field in FIELDS["households"]) - {"v", "gone", "author", "device", "w"}


def add_households(rows: Iterable[Mapping[str, Any]]) -> Work[list[str]]:
    """Take homes over, each a document at its `cell`; value: their ids in order.

    A row holds fields of the collection `households`; without `id` it gets one. Raises ``Unprocessable`` naming the
    first bad row; then none is kept.
    """
    listed = [dict(row) for row in rows]

    def work(tx: Tx, context: Context) -> list[str]:
        config = context.configs.get(tx)
        batch = new_batch(tx, context)
        found: list[str] = []
        for number, row in enumerate(listed, start=1):
            unknown = row.keys() - _FIELDS
            cell = config.cell_by_code.get(str(row.get("cell")))
            if unknown or cell is None or cell.level != 0:
                wrong = "、".join(sorted(unknown)) or "cell"
                raise Unprocessable(f"第 {number} 户:{wrong} 不合要求。", line=number)
            identity = str(row.get("id") or context.chance.uuid7(context.now))
            values = {name: value for name, value in row.items() if value is not None} | {"id": identity}
            key = content.id_bytes(Collection.households, identity)
            batch.create(Collection.households, key, values, cell=cell.pk)
            found.append(identity)
        write(tx, batch, context, "households.add")
        return found

    return work


def open_visits(household_ids: Sequence[str], *, due: int, window: str | None = None) -> Work[int]:
    """A task `visit_due` for each household, at its cell; value: how many."""

    def work(tx: Tx, context: Context) -> int:
        config = context.configs.get(tx)
        batch = new_batch(tx, context)
        keys = [content.id_bytes(Collection.households, identity) for identity in household_ids]
        docs = [doc for doc in tx.documents(Collection.households, keys) if doc.gone is None]
        for doc in docs:
            cell = config.cells.get(doc.cell) if doc.cell is not None else None
            values: dict[str, Any] = {
                "type": "visit_due",
                "cell": None if cell is None else cell.code,
                "role": "grid_worker",
                "household_id": content.id_text(Collection.households, doc.id),
                "due": due,
                "window": window,
                "opened_at": batch.now,
                "text": "该走访",
            }
            kept = {name: value for name, value in values.items() if value is not None}
            batch.mint(Collection.tasks, kept, of_case=batch.take(doc), cell=doc.cell)
        write(tx, batch, context, "visits.open")
        return len(docs)

    return work
