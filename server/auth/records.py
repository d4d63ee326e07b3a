"""Audit records of signing in and of administration, in the same chain as those of the documents."""

from sync.commit import Context, audit_row
from sync.store import Tx


def record_act(tx: Tx, context: Context, action: str, touched: str) -> None:
    """Add one chained record; `touched` names rows by key and holds nothing personal."""
    audit_row(tx, context, tx.head().seq, action, [touched])
