"""Audit records of signing in and of administration, in the same chain as those of the documents."""

from sync.commit import Context, audit_hash
from sync.store import Tx


def record_act(tx: Tx, context: Context, action: str, touched: str) -> None:
    """Add one chained record; `touched` names rows by key and holds nothing personal."""
    last = tx.find("audit", order=["-pk"], limit=1, columns=["hash"])
    former = last[0]["hash"] if last else b""
    record = {
        "seq": tx.head().seq,
        "at": context.wall,
        "actor": context.actor,
        "action": action,
        "touched": touched,
    }
    tx.insert("audit", [record | {"hash": audit_hash(former, record)}])
