"""Who is calling: an access token checked against the account, the device and the session as they are now.

The answer is kept for at most a second, and forgotten at once when this process changes a session or the district's
configuration changes, so a right that ends here ends with the next request.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Collection as Some

from msgspec import Struct, structs

from server.auth.tokens import Claims
from server.clocks import monotonic_ms, wall_ms
from server.districts import District
from server.errors import SessionEnded
from sync.config import Config
from sync.store import Reader, Row

KEPT_MS = 1_000
_KEPT_MAX = 50_000
_GATHER_MS = 20  # streams that are to be told in one moment are asked about in one read
_ASKED_AT_ONCE = 500


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


class _Asked:
    """Sessions of streams that wait for one answer: which of them have ended."""

    __slots__ = ("ended", "sessions")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.sessions: set[str] = set()
        self.ended: asyncio.Future[frozenset[str]] = loop.create_future()


class Callers:
    """The callers of one district."""

    def __init__(self, district: District) -> None:
        self._district = district
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._asked: _Asked | None = None
        self._answering: set[asyncio.Task[None]] = set()

    def forget(self, session: str) -> None:
        """Ask the database about this session at its next request."""
        with self._lock:
            self._known.pop(session, None)

    def forget_user(self, user_pk: int) -> None:
        """Ask the database about all sessions of somebody at their next request."""
        with self._lock:
            for session in [key for key, known in self._known.items() if known.caller.user_pk == user_pk]:
                del self._known[session]

    def forget_all(self) -> None:
        """Ask the database about everybody."""
        with self._lock:
            self._known.clear()

    async def caller(self, claims: Claims, wall: int) -> Caller:
        """The caller of a valid token; raises ``SessionEnded``."""
        known = self._fresh(claims.session)
        if known is None or not (known.confirmed or known.rotation != claims.rotation):
            known = await self._district.read(lambda reader: self._load(reader, claims, wall))
            if not known.confirmed and known.rotation == claims.rotation:
                # The phone holds what the last rotation sent it: the secret before that one is dead from here on.
                await self._district.writer.submit(
                    lambda tx, _: tx.update(
                        "session", {"id": claims.session, "rotated_at": claims.rotation}, {"confirmed": True}
                    ),
                    always=True,  # FL8: it stands before signing out, too
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

    def _fresh(self, session: str) -> _Known | None:
        """What is known of a session, if that is of this second and of this configuration."""
        head = self._district.head
        with self._lock:
            known = self._known.get(session)
        if known is None or known.config != (head.epoch, head.config):
            return None
        return known if monotonic_ms() - known.checked_at < KEPT_MS else None

    async def still(self, session: str) -> bool:
        """ES5: whether the stream of a session may go on; from the server's loop.

        A stream goes on while the database cannot be read: a poke tells nothing.
        """
        known = self._fresh(session)
        if known is not None:
            return not known.caller.device_revoked
        asked = self._asked
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = self._asked = _Asked(loop)
            loop.call_later(_GATHER_MS / 1000, self._begin_answer, asked)
        asked.sessions.add(session)
        return session not in await asyncio.shield(asked.ended)

    def _begin_answer(self, asked: _Asked) -> None:
        self._asked = None
        task = asyncio.get_running_loop().create_task(self._answer(asked))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, asked: _Asked) -> None:
        ended: frozenset[str] = frozenset()
        try:
            ended = await self._district.read(lambda reader: self._ended(reader, asked.sessions, wall_ms()))
        finally:
            asked.ended.set_result(ended)

    def _ended(self, reader: Reader, sessions: Some[str], wall: int) -> frozenset[str]:
        config = self._district.config_of(reader)
        waiting, alive = sorted(sessions), set()
        for start in range(0, len(waiting), _ASKED_AT_ONCE):
            rows = reader.find("session", {"id": waiting[start : start + _ASKED_AT_ONCE]})
            devices = reader.find("device", {"pk": [row["device_pk"] for row in rows], "revoked_at": None})
            known = {device["pk"] for device in devices}
            alive |= {row["id"] for row in rows if row["device_pk"] in known and _stands(config, row, wall)}
        return frozenset(sessions) - alive

    def _load(self, reader: Reader, claims: Claims, wall: int) -> _Known:
        config = self._district.config_of(reader)
        sessions = reader.find("session", {"id": claims.session}, limit=1)
        if not sessions or not _stands(config, sessions[0], wall):
            raise SessionEnded
        session = sessions[0]
        devices = reader.find("device", {"pk": session["device_pk"]}, limit=1)
        if not devices:
            raise SessionEnded
        account, device = config.accounts[session["user_pk"]], devices[0]
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


def _stands(config: Config, session: Row, wall: int) -> bool:
    """Whether a session is neither over nor that of an account that was closed or reset since."""
    account = config.accounts.get(session["user_pk"])
    return (
        session["ended_at"] is None
        and session["expires_at"] > wall
        and account is not None
        and account.state == "active"
        and session["created_at"] >= account.not_before
    )
