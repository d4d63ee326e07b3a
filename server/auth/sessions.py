"""Sessions: what signing in, refreshing and signing out write, as works for the district's writer.

A refresh secret is used once. The one after it is derived from it, so when a reply is lost the same question brings
the same answer; the old secret dies when the new one was seen in use, and a dead secret ends the session. Two pages
of one phone that ask in the same moment are no theft: for ten seconds the old secret still answers.
"""

import hashlib
import hmac
from typing import Any

from msgspec import Struct, structs

from server.auth.lockout import wait_after
from server.auth.records import record_act
from server.errors import SessionEnded
from server.keys import TokenKey
from sync.commit import Context
from sync.config import Config
from sync.store import Reader, Row, Tx

LIFE_MS = 30 * 24 * 3600 * 1000
SECRET_BYTES = 32
TWIN_MS = 10_000
_NAME_MAX = 80


class Opened(Struct, frozen=True):
    """A session with what its owner must keep; `late`: its device was stopped, and may only hand in what it holds."""

    session: str
    secret: bytes
    user_pk: int
    user_id: str
    device_id: str
    rotation: int
    expires_at: int
    late: bool = False


class Standing(Struct, frozen=True):
    """What signing in needs to know of a name before the password is looked at."""

    account: Row | None
    device: Row | None
    locked_until: int
    failures: int


def standing(reader: Reader, username: str, device_id: str | None) -> Standing:
    """The account of `username`, and its device when that is enrolled; with the lock that counts for this device."""
    accounts = reader.find("account", {"username": username}, limit=1)
    if not accounts:
        return Standing(None, None, 0, 0)
    account = accounts[0]
    devices = (
        reader.find("device", {"id": device_id, "user_pk": account["pk"], "revoked_at": None}, limit=1)
        if device_id
        else []
    )
    device = devices[0] if devices else None
    counted = device or account
    return Standing(account, device, counted["locked_until"] or 0, counted["failed"] or 0)


def record_failure(tx: Tx, context: Context, account_pk: int, device_pk: int | None) -> int:
    """Count a wrong password; returns how many ms to wait before the next."""
    if device_pk is None:
        row = tx.find("account", {"pk": account_pk})[0]
        table, key = "account", account_pk
    else:
        row = tx.find("device", {"pk": device_pk})[0]
        table, key = "device", device_pk
    failures = (row["failed"] or 0) + 1
    wait = wait_after(failures)
    tx.update(table, {"pk": key}, {"failed": failures, "locked_until": context.wall + wait if wait else 0})
    record_act(tx, context, "sign_in_refused", f"account:{account_pk}")
    return wait


def open_session(
    tx: Tx,
    context: Context,
    *,
    account: Row,
    device_id: str | None,
    device_name: str,
    new_hash: str | None = None,
) -> Opened | None:
    """Sign somebody in whose password was right; None when the account was changed meanwhile.

    A device that names itself and is new here may hold documents from before: it counts as registered at number 0.
    """
    rows = tx.find("account", {"pk": account["pk"]}, limit=1)
    if not rows or rows[0]["state"] != "active" or rows[0]["password"] != account["password"]:
        return None
    row = rows[0]
    changes: dict[str, Any] = {}
    if new_hash is not None:
        changes["password"] = new_hash
    if row["failed"] or row["locked_until"]:
        changes |= {"failed": 0, "locked_until": 0}
    if changes:
        tx.update("account", {"pk": row["pk"]}, changes)
    device_pk, kept_id = _device(tx, context, row["pk"], device_id, device_name)
    session = context.chance.uuid7(context.wall)
    secret = context.chance.bytes(SECRET_BYTES)
    expires = context.wall + LIFE_MS
    tx.insert(
        "session",
        [
            {
                "id": session,
                "user_pk": row["pk"],
                "device_pk": device_pk,
                "current": _digest(secret),
                "previous": None,
                "confirmed": False,
                "created_at": context.wall,
                "rotated_at": context.wall,
                "expires_at": expires,
                "ended_at": None,
            }
        ],
    )
    record_act(tx, context, "sign_in", f"account:{row['pk']},device:{device_pk}")
    return Opened(session, secret, row["pk"], row["id"], kept_id, context.wall, expires)


def _device(tx: Tx, context: Context, user_pk: int, device_id: str | None, name: str) -> tuple[int, str]:
    if device_id is not None:
        known = tx.find("device", {"id": device_id, "user_pk": user_pk}, limit=1)
        if known and known[0]["revoked_at"] is None:
            tx.update(
                "device", {"pk": known[0]["pk"]}, {"seen_at": context.wall, "failed": 0, "locked_until": 0}
            )
            return known[0]["pk"], device_id
        if known:
            device_id = None  # a revoked device is never enrolled again under its name
    kept_id = device_id or context.chance.uuid7(context.wall)
    pk = tx.add(
        "device",
        {
            "id": kept_id,
            "user_pk": user_pk,
            "name": name[:_NAME_MAX],
            "registered_seq": 0 if device_id is not None else tx.head().seq,
            "created_at": context.wall,
            "seen_at": context.wall,
            "revoked_at": None,
            "failed": 0,
            "locked_until": 0,
            "marks": "{}",
            "state": "{}",
        },
    )
    return pk, kept_id


class Reused(Struct, frozen=True):
    """A dead secret was shown: the session has been ended, which must be committed before anybody is told."""

    user_pk: int


def rotate(
    tx: Tx, context: Context, key: TokenKey, session: str, secret: bytes, device_id: str | None
) -> Opened | Reused:
    """Exchange a refresh secret for the next; raises ``SessionEnded``, returns ``Reused`` for a dead secret."""
    rows = tx.find("session", {"id": session}, limit=1)
    if not rows or rows[0]["ended_at"] is not None or rows[0]["expires_at"] <= context.wall:
        raise SessionEnded
    row = rows[0]
    accounts = tx.find("account", {"pk": row["user_pk"]}, limit=1)
    devices = tx.find("device", {"pk": row["device_pk"]}, limit=1)
    if not accounts or accounts[0]["state"] != "active" or row["created_at"] < accounts[0]["not_before"]:
        raise SessionEnded
    if not devices or device_id not in {None, devices[0]["id"]}:
        raise SessionEnded
    shown = _digest(secret)
    following = key.next_secret(session, secret)
    opened = Opened(
        session,
        following,
        row["user_pk"],
        accounts[0]["id"],
        devices[0]["id"],
        row["rotated_at"],
        row["expires_at"],
        late=devices[0]["revoked_at"] is not None,
    )
    if hmac.compare_digest(shown, row["current"]):
        # Two rotations in one millisecond must not share a `rot`: it tells which of them has been seen.
        at = max(context.wall, row["rotated_at"] + 1)
        tx.update(
            "session",
            {"pk": row["pk"]},
            {"previous": shown, "current": _digest(following), "confirmed": False, "rotated_at": at},
        )
        tx.update("device", {"pk": row["device_pk"]}, {"seen_at": context.wall})
        return structs.replace(opened, rotation=at)
    last_one = row["previous"] is not None and hmac.compare_digest(shown, row["previous"])
    if last_one and (not row["confirmed"] or context.wall - row["rotated_at"] <= TWIN_MS):
        return opened
    # The token carries our mark, so this is a secret of long ago and no guess: somebody has a copy.
    tx.update("session", {"pk": row["pk"]}, {"ended_at": context.wall})
    record_act(tx, context, "session_reused", f"account:{row['user_pk']},session:{row['pk']}")
    return Reused(row["user_pk"])


def end_session(tx: Tx, context: Context, session: str) -> None:
    """Sign out; ending an ended session changes nothing."""
    if tx.update("session", {"id": session, "ended_at": None}, {"ended_at": context.wall}):
        record_act(tx, context, "sign_out", f"session:{session}")


def end_sessions_of(tx: Tx, context: Context, user_pk: int) -> None:
    """Sign somebody out everywhere."""
    tx.update("session", {"user_pk": user_pk, "ended_at": None}, {"ended_at": context.wall})


def set_password(tx: Tx, context: Context, user_pk: int, new_hash: str, *, keep: str | None = None) -> None:
    """Give an account a new password and end its sessions, except `keep`."""
    tx.update("account", {"pk": user_pk}, {"password": new_hash, "failed": 0, "locked_until": 0})
    for row in tx.find("session", {"user_pk": user_pk, "ended_at": None}, columns=["pk", "id"]):
        if row["id"] != keep:
            tx.update("session", {"pk": row["pk"]}, {"ended_at": context.wall})
    record_act(tx, context, "password_changed", f"account:{user_pk}")


def revoke_device(tx: Tx, context: Context, device_pk: int) -> None:
    """Stop a lost device: it may still hand in what it holds, which is put aside, and is told to wipe itself (PU13)."""
    tx.update("device", {"pk": device_pk, "revoked_at": None}, {"revoked_at": context.wall})
    record_act(tx, context, "device_revoked", f"device:{device_pk}")


def grants_of(config: Config, user_pk: int) -> list[dict[str, Any]]:
    """The roles somebody has now, as a phone is told: role, code of the unit or cell, whom it stands in for."""
    found = []
    for grant in config.active_grants(user_pk):
        unit = config.units.get(grant.unit_pk) if grant.unit_pk is not None else None
        cell = config.cells.get(grant.cell_pk) if grant.cell_pk is not None else None
        stood = config.accounts.get(grant.stands_in_for) if grant.stands_in_for is not None else None
        found.append(
            {
                "role": grant.role,
                "unit": unit.code if unit else None,
                "unit_name": unit.name if unit else None,
                "cell": cell.code if cell else None,
                "cell_name": cell.name if cell else None,
                "stands_in_for": stood.id if stood else None,
                "until_at": grant.until_at,
            }
        )
    return found


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
