"""The audit as its auditor reads it: who did what to which rows, and whether the chain holds. No case text."""

from typing import Any, Final

from sync.commit import Context, Work, audit_hash, audit_row
from sync.config import Config
from sync.store import Reader, Row, Tx

_FIELDS: Final = ("seq", "at", "actor", "action", "touched")
_WHOLE_MAX: Final = 20_000  # records whose chain is walked for one question; `wangge verify` walks all
_STEP: Final = 1000


def page(
    reader: Reader,
    config: Config,
    *,
    before: int | None,
    limit: int,
    actor: str | None,
    action: str | None,
) -> dict[str, Any]:
    """Records newest first, and the state of the chain: ``{verified, records, from, last}``."""
    where: dict[str, Any] = {}
    if before is not None:
        where["pk__lt"] = before
    if actor is not None:
        where["actor"] = actor
    if action is not None:
        where["action"] = action
    rows = reader.find("audit", where, order=["-pk"], limit=limit)
    return {
        "items": [_shown(config, row) for row in rows],
        "next": rows[-1]["pk"] if len(rows) == limit else None,
        "chain": check_chain(reader),
    }


def _shown(config: Config, row: Row) -> dict[str, Any]:
    kind, _, identity = row["actor"].partition(":")
    account = config.account_by_id.get(identity) if kind == "user" else None
    return {
        "id": row["pk"],
        "seq": row["seq"],
        "at": row["at"],
        "actor": row["actor"],
        "actor_name": None if account is None else account.name,
        "action": row["action"],
        "touched": row["touched"].split(",") if row["touched"] else [],
        "hash": bytes(row["hash"]).hex(),
    }


def check_chain(reader: Reader) -> dict[str, Any]:
    """Whether each record's hash covers the one before it, over the newest records (all, where they are few)."""
    last = reader.find("audit", order=["-pk"], limit=1, columns=["pk", "hash"])
    if not last:
        return {"verified": True, "records": 0, "from": None, "last": None}
    wanted = {"pk__le": last[0]["pk"] - _WHOLE_MAX}
    begin = reader.find("audit", wanted, order=["-pk"], limit=1, columns=["pk", "hash"])
    after, former = (begin[0]["pk"], bytes(begin[0]["hash"])) if begin else (0, b"")
    first, count, verified = after + 1, 0, True
    while True:
        rows = reader.find("audit", {"pk__gt": after}, order=["pk"], limit=_STEP)
        for row in rows:
            expected = audit_hash(former, {name: row[name] for name in _FIELDS})
            verified = verified and expected == bytes(row["hash"])
            former = bytes(row["hash"])
            after = row["pk"]
        count += len(rows)
        if len(rows) < _STEP:
            break
    return {"verified": verified, "records": count, "from": first, "last": former.hex()}


def look_work(doc_pk: int, action: str = "case.look") -> Work[None]:
    """Record that somebody has looked at a case or a file: it takes no number, nobody's phone need ask."""

    def work(tx: Tx, context: Context) -> None:
        audit_row(tx, context, tx.head().seq, action, [str(doc_pk)])

    return work
