"""Who is calling: an access token checked against the account, the device and the session as they are now.

The answer is kept for at most a second, and forgotten at once when this process changes a session or the district's
configuration changes, so a right that ends here ends with the next request.
"""

import threading
from collections import OrderedDict

from msgspec import Struct, structs

from server.auth.tokens import Claims
from server.clocks import monotonic_ms
from server.districts import District
from server.errors import SessionEnded
from sync.store import Reader

KEPT_MS = 1_000
_KEPT_MAX = 50_000


class Caller(Struct, frozen=True):
    """Somebody whose request is being answered. `roles` are those held anywhere in the district now."""

    district: str
    user_pk: int
    user_id: str
    username: str
    name: str
    device_pk: int
    device_id: str
    session: str
    roles: frozenset[str]
    token_expires_at: int
    device_revoked: bool = False
    is_cli: bool = False


class _Known(Struct, frozen=True):
    caller: Caller
    config: tuple[int, int]
    checked_at: int
    confirmed: bool
    rotation: int


class Callers:
    """The callers of one district."""

    def __init__(self, district: District) -> None:
        self._district = district
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def forget(self, session: str) -> None:
        """Ask the database about this session at its next request."""
        with self._lock:
            self._known.pop(session, None)

    def forget_all(self) -> None:
        """Ask the database about everybody."""
        with self._lock:
            self._known.clear()

    async def caller(self, claims: Claims, wall: int) -> Caller:
        """The caller of a valid token; raises ``SessionEnded``."""
        head = self._district.head
        with self._lock:
            known = self._known.get(claims.session)
        fresh = (
            known is not None
            and known.config == (head.epoch, head.config)
            and monotonic_ms() - known.checked_at < KEPT_MS
            and (known.confirmed or known.rotation != claims.rotation)
        )
        if known is None or not fresh:
            known = await self._district.read(lambda reader: self._load(reader, claims, wall))
            if not known.confirmed and known.rotation == claims.rotation:
                # The phone holds what the last rotation sent it: the secret before that one is dead from here on.
                await self._district.writer.submit(
                    lambda tx, _: tx.update(
                        "session", {"id": claims.session, "rotated_at": claims.rotation}, {"confirmed": True}
                    )
                )
                known = structs.replace(known, confirmed=True)
            with self._lock:
                self._known[claims.session] = known
                self._known.move_to_end(claims.session)
                while len(self._known) > _KEPT_MAX:
                    self._known.popitem(last=False)
        if known.caller.user_id != claims.user_id or known.caller.device_id != claims.device_id:
            raise SessionEnded
        return structs.replace(known.caller, token_expires_at=claims.expires_at)

    def _load(self, reader: Reader, claims: Claims, wall: int) -> _Known:
        config = self._district.config_of(reader)
        sessions = reader.find("session", {"id": claims.session}, limit=1)
        if not sessions or sessions[0]["ended_at"] is not None or sessions[0]["expires_at"] <= wall:
            raise SessionEnded
        session = sessions[0]
        account = config.accounts.get(session["user_pk"])
        devices = reader.find("device", {"pk": session["device_pk"]}, limit=1)
        if account is None or account.state != "active" or not devices:
            raise SessionEnded
        if session["created_at"] < account.not_before:
            raise SessionEnded
        device = devices[0]
        caller = Caller(
            district=self._district.code,
            user_pk=account.pk,
            user_id=account.id,
            username=account.username,
            name=account.name,
            device_pk=device["pk"],
            device_id=device["id"],
            session=claims.session,
            roles=config.roles(account.pk),
            token_expires_at=claims.expires_at,
            device_revoked=device["revoked_at"] is not None,
        )
        return _Known(
            caller=caller,
            config=(config.epoch, config.version),
            checked_at=monotonic_ms(),
            confirmed=bool(session["confirmed"]),
            rotation=session["rotated_at"],
        )
