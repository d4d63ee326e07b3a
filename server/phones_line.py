"""The line between a simulated phone and a server: real HTTP, timed, and losing what it is told to lose."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from msgspec import Struct

_PATIENCE = 60.0  # seconds
_WAIT_MAX = 5.0  # seconds; a server may ask for more, a simulation does not wait that long
_TRIES = 8
_AT_ONCE = 6  # requests of one phone, as in a browser
_BUSY = frozenset({429, 503})


class Lost(Exception):
    """A request or its reply got lost: nobody on the phone knows what became of it."""


class LineError(Exception):
    """The server refused what a right phone would send: something is wrong with one of the two."""


class Account(Struct, frozen=True, kw_only=True):
    """Somebody who can sign in, as in ``demo-accounts.json``; further fields there do not matter here."""

    username: str
    password: str
    role: str = ""


class Figures:
    """What is counted over all phones. Latencies in ms, by kind of request."""

    def __init__(self) -> None:
        self.latencies: dict[str, list[float]] = {}
        self.lost_requests = 0
        self.lost_replies = 0
        self.waits = 0  # answers 429 and 503
        self.pokes = 0
        self.refreshes = 0

    def timed(self, kind: str, milliseconds: float) -> None:
        """Keep one latency."""
        self.latencies.setdefault(kind, []).append(milliseconds)


class Line:
    """One phone's connection and session. `loss` is the chance that a request, or its reply, is lost."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        account: Account,
        chance: random.Random,
        figures: Figures,
        *,
        loss: float,
    ) -> None:
        self._client = client
        self._account = account
        self.chance = chance
        self._figures = figures
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._token = ""
        self._refresh = ""
        self._renewing = asyncio.Lock()
        self.loss = loss
        self.user = ""
        self.device = ""

    async def sign_in(self, device_name: str) -> None:
        """Begin a session; the device's id is kept for later ones."""
        device = {"name": device_name} | ({"id": self.device} if self.device else {})
        body = {
            "username": self._account.username,
            "password": self._account.password,
            "device": device,
        }
        for _ in range(_TRIES):
            answer = await self._timed("sign_in", "/api/v1/sessions", body, {})
            if answer.status_code == 201:
                self.resume(answer.json())
                return
            if answer.status_code not in _BUSY:
                raise LineError(f"{self._account.username} cannot sign in: {_told(answer)}")
            await self._rest(answer)  # other phones of the account are signing in
        raise Lost

    def resume(self, session: dict[str, Any]) -> None:
        """Go on with a session, as it was answered to a sign-in."""
        self._token = session["access_token"]
        self._refresh = session["refresh_token"]
        self.user = session["user"]["id"]
        self.device = session["device_id"]

    async def post(self, kind: str, path: str, body: Any) -> Any:
        """The answer's JSON; raises ``Lost`` when the line fails and ``LineError`` when the server refuses."""
        fate = self.chance.random()
        if fate < self.loss / 2:
            self._figures.lost_requests += 1
            raise Lost
        for _ in range(_TRIES):
            token = self._token
            answer = await self._timed(kind, path, body, {"Authorization": f"Bearer {token}"})
            if answer.status_code == 401:
                await self._renew(token)
            elif answer.status_code in _BUSY:
                await self._rest(answer)
            elif answer.status_code == 200:
                break
            else:
                raise LineError(f"{path}: {_told(answer)}")
        else:
            raise Lost
        if fate < self.loss:
            self._figures.lost_replies += 1
            raise Lost
        return answer.json()

    async def _rest(self, answer: httpx.Response) -> None:
        """Wait as long as a server asks that has no time now."""
        self._figures.waits += 1
        asked = answer.headers.get("Retry-After", "1")
        await asyncio.sleep(min(_WAIT_MAX, float(asked) if asked.isdigit() else 1.0))

    async def _timed(self, kind: str, path: str, body: Any, headers: dict[str, str]) -> httpx.Response:
        async with self._gate:
            begun = time.perf_counter()
            try:
                answer = await self._client.post(path, json=body, headers=headers, timeout=_PATIENCE)
            except httpx.TransportError as error:
                raise Lost from error
            self._figures.timed(kind, (time.perf_counter() - begun) * 1000)
            return answer

    async def _renew(self, spent: str) -> None:
        """Exchange the refresh token, once for all requests that found the access token spent."""
        async with self._renewing:
            if self._token != spent:
                return
            self._figures.refreshes += 1
            answer = await self._timed(
                "refresh", "/api/v1/sessions/refresh", {"refresh_token": self._refresh}, {}
            )
            if answer.status_code != 200:
                raise LineError(f"the session of {self._account.username} ended: {_told(answer)}")
            self.resume(answer.json())

    @asynccontextmanager
    async def pokes(self) -> AsyncIterator[asyncio.Event]:
        """An event that is set whenever the server says that something changed."""
        poked = asyncio.Event()
        listening = asyncio.create_task(self._listen(poked))
        try:
            yield poked
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self, poked: asyncio.Event) -> None:
        while True:
            headers = {"Authorization": f"Bearer {self._token}"}
            try:
                async with self._client.stream(
                    "GET", "/sync/v1/stream", headers=headers, timeout=httpx.Timeout(_PATIENCE)
                ) as answer:
                    async for line in answer.aiter_lines():
                        if line == "event: RESYNC":
                            self._figures.pokes += 1
                            poked.set()
            except httpx.HTTPError:
                pass  # a stream may end at any time: the phone only opens the next
            await asyncio.sleep(1)


def _told(answer: httpx.Response) -> str:
    try:
        code = answer.json().get("code", "")
    except ValueError:
        code = ""
    return f"{answer.status_code} {code}".strip()
