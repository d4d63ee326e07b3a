"""What a phone and the server tell each other at each contact."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sync import digest, versions
from sync.captured import contacts_in
from sync.cases.phone_clocks import contact_of, with_contact
from sync.commit import Context, Work, audit_row
from sync.config import Config
from sync.pull import LIMIT_MAX, Caller
from sync.push_body import BYTES_MAX, ROW_BYTES_MAX, ROWS_MAX
from sync.sealed import key_id, public_key
from sync.store import Reader, Tx
from sync.values import Collection

PROTOCOL = 1
_encode = msgspec.json.Encoder().encode
_TOLD_MAX = 4096
_KEYS_MAX = 16  # a phone that is set up anew makes another; nobody sets one up so often
_FIELDS = frozenset(
    {"app", "schema", "wall", "monotonic", "boot", "rtt", "pending", "cursors", "counter", "storage"}
)


def answer(
    reader: Reader,
    config: Config,
    caller: Caller,
    told: Mapping[str, Any],
    *,
    wall: int,
    monotonic: int,
    words: Mapping[str, str],
    encodings: Sequence[str] = (),
    scope: Mapping[str, Any] | None = None,
    digests: bool = True,
) -> dict[str, Any]:
    """The server's half. `told.cursors` maps collections to the `s` of their checkpoints.

    `digests`: whether the device may ask for any now (DG4).
    """
    head = reader.head()
    cursors = told.get("cursors") if isinstance(told.get("cursors"), dict) else {}
    dirty = [
        item.name
        for item in Collection
        if not isinstance(cursors, dict) or cursors.get(item.name) != head.seq or _risen(item, told, caller)
    ]
    sent = told.get("wall")
    waiting = reader.find(
        "quarantine", {"user_pk": caller.user_pk, "state": "open"}, columns=["id"], limit=1000
    )
    # RC2, RC3: from these a phone knows how far back to hand in again what it holds.
    restored = [row for row in reader.find("epoch", order=["epoch"]) if row["epoch"] > 1]
    return {
        "protocol": PROTOCOL,
        "server_time": wall,
        "monotonic": monotonic,
        "clock_offset_ms": wall - sent if isinstance(sent, int) and not isinstance(sent, bool) else None,
        "district": config.district,
        "user": caller.user_id,
        "device": caller.device_id,
        "registered_seq": caller.registered,
        "head": head.seq,
        "epoch": {"epoch": head.epoch, "restored": restored},
        "dirty": dirty,
        "quarantine": len(waiting),
        "limits": {
            "push_rows": ROWS_MAX,
            "push_bytes": BYTES_MAX,
            "row_bytes": ROW_BYTES_MAX,
            "pull_limit": LIMIT_MAX,
            "encodings": list(encodings),  # FL4: in which a push may come
        },
        "minimum": {"protocol": PROTOCOL, "schema": versions.OLDEST},
        "schema": {"spoken": caller.speaks, "current": versions.CURRENT},
        **_digests(reader, config, caller, told, allowed=digests),
        "catalogue": dict(words),
        "generation": config.generation,
    } | ({} if scope is None else {"scope": dict(scope)})


def _risen(collection: Collection, told: Mapping[str, Any], caller: Caller) -> bool:
    """EV5: whether fields came since the version under which the phone last finished a pull."""
    before = told.get("schema")
    before = before.get("from") if isinstance(before, dict) else before
    if not isinstance(before, int) or isinstance(before, bool):
        return False
    return bool(versions.added(collection, before, caller.speaks))


def digests_asked(told: Mapping[str, Any]) -> list[Collection]:
    """The collections whose digests a phone wants."""
    wanted = told.get("digests")
    return [item for item in Collection if item.name in wanted] if isinstance(wanted, list) else []


def _digests(
    reader: Reader, config: Config, caller: Caller, told: Mapping[str, Any], *, allowed: bool
) -> dict[str, Any]:
    """DG1, DG4: null is "not now", for all of them or for one that holds too much."""
    asked = digests_asked(told)
    if not asked:
        return {}
    if not allowed:
        return {"digests": None}
    return {"digests": {item.name: digest.of_collection(reader, config, caller, item) for item in asked}}


def remember(device_pk: int, told: Mapping[str, Any], *, at: int) -> Work[list[str]]:
    """Keep what the phone told, its clocks (CL1) and its key (SE2); returns the device's keys.

    `at` is when the request came, by the real clock.
    """
    kept = {name: told[name] for name in _FIELDS if name in told}
    text = _encode(kept).decode()
    if len(text) > _TOLD_MAX:
        text = "{}"

    public = public_key(told.get("sign_key"))
    contact = contact_of(told, at)

    def work(tx: Tx, context: Context) -> list[str]:
        changes: dict[str, Any] = {"state": text, "seen_at": context.wall}
        rows = tx.find("device", {"pk": device_pk}, columns=["contacts"])
        if rows and contact is not None:
            known_contacts = contacts_in(rows[0]["contacts"])
            changes["contacts"] = _encode(with_contact(known_contacts, contact)).decode()
        tx.update("device", {"pk": device_pk}, changes)
        known = [row["id"] for row in tx.find("device_key", {"device_pk": device_pk}, order=["pk"])]
        if public is None or key_id(public) in known or len(known) >= _KEYS_MAX:
            return known
        row = {"id": key_id(public), "device_pk": device_pk, "public": public, "since_at": context.wall}
        tx.insert("device_key", [row])
        audit_row(tx, context, tx.head().seq, "device.key", [f"device:{device_pk}", f"key:{row['id']}"])
        return [*known, key_id(public)]

    return work
