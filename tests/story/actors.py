"""The people of the story. Each speaks to the server over HTTP only, as their page or phone would."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Self

import httpx

from geo.coordinates import convert_point
from geo.points import Crs
from server.clocks import wall_ms
from server.phones_shelf import Document, Shelf
from server.phones_worker import Ground, uuid7

if TYPE_CHECKING:
    from collections.abc import Iterable

PASSWORD = "liu shui bu fu hu shu bu du"
COLLECTIONS = ("cells", "cases", "entries", "visits", "households", "tasks", "files", "notices")
CHANCE = random.Random("the story")


def new_id() -> str:
    return uuid7(CHANCE, wall_ms())


class Refused(Exception):
    """The server answered with a problem; `status` and `code` say which."""

    def __init__(self, answer: httpx.Response) -> None:
        self.status = answer.status_code
        self.problem: dict[str, Any] = answer.json() if answer.content else {}
        self.code = self.problem.get("code")
        super().__init__(
            f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}"
        )


class Person:
    """Somebody at a desk. `heard` keeps every answer the server ever gave them, headers included."""

    def __init__(self, url: str, username: str) -> None:
        self.username = username
        self.heard: list[str] = []
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._client.event_hooks["response"].append(self._hear)
        self.session: dict[str, Any] = {}

    def _hear(self, answer: httpx.Response) -> None:
        answer.read()
        self.heard.append(f"{answer.headers}\n{answer.text}")

    def sign_in(self) -> Self:
        device = {"name": "desk"} | ({"id": self.session["device_id"]} if self.session else {})
        body = {"username": self.username, "password": PASSWORD, "device": device}
        self.session = self._told(self._client.post("/api/v1/sessions", json=body))
        self._client.headers["Authorization"] = f"Bearer {self.session['access_token']}"
        return self

    def close(self) -> None:
        self._client.close()

    @property
    def user(self) -> str:
        return str(self.session["user"]["id"])

    @staticmethod
    def _told(answer: httpx.Response) -> Any:
        if answer.is_error:
            raise Refused(answer)
        return answer.json() if answer.content else None

    def get(self, path: str, **params: Any) -> Any:
        return self._told(self._client.get(path, params=params))

    def post(self, path: str, body: Any) -> Any:
        return self._told(self._client.post(path, json=body))

    def raw_get(self, path: str) -> httpx.Response:
        return self._client.get(path)

    # --- the console -------------------------------------------------------------------------------------------------

    def act(self, case_id: str, act: str, **args: Any) -> Any:
        """Do something to a case, as the console does."""
        return self.post(f"/api/v1/cases/{case_id}/acts", {"act": act, **args})

    def case(self, case_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/api/v1/cases/{case_id}")
        return found

    def reads_first_pokes(self) -> None:
        """Open the stream of pokes and keep what it says at once."""
        said = b""
        with self._client.stream("GET", "/sync/v1/stream", headers={"Accept": "text/event-stream"}) as answer:
            for piece in answer.iter_raw():
                said += piece
                if b"event: RESYNC" in said and said.endswith(b"\n\n"):
                    break
        self.heard.append(said.decode())


class StreamingPerson(Person):
    """Somebody whose answers may be streams, which are heard piece by piece."""

    def _hear(self, answer: httpx.Response) -> None:
        if "text/event-stream" not in answer.headers.get("content-type", ""):
            super()._hear(answer)


class Phone(StreamingPerson):
    """A grid worker with a phone. What is written while out of reach waits on the phone until `sync`."""

    def __init__(self, url: str, username: str, collections: Iterable[str] = COLLECTIONS) -> None:
        super().__init__(url, username)
        self.shelves = {name: Shelf(name) for name in collections}
        self._counter = 0
        self._unanswered: list[tuple[str, list[Document]]] = []

    # --- in reach ----------------------------------------------------------------------------------------------------

    def hello(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.post("/sync/v1/hello", {"wall": wall_ms(), "counter": self._counter})
        return answer

    def pull(self) -> Self:
        for name, shelf in self.shelves.items():
            while shelf.take_page(
                self.post(f"/sync/v1/{name}/pull", {"checkpoint": shelf.checkpoint, "limit": 1})
            ):
                pass
        return self

    def push(self) -> Self:
        for name, shelf in self.shelves.items():
            rows = shelf.rows()
            if rows:
                shelf.take_answer(rows, self.post(f"/sync/v1/{name}/push", rows))
        return self

    def push_and_lose_the_reply(self) -> bool:
        """The rows leave the phone and no answer comes; True if the server broke off."""
        broken = False
        for name, shelf in self.shelves.items():
            rows = shelf.rows()
            if not rows:
                continue
            try:
                self.post(f"/sync/v1/{name}/push", rows)
            except httpx.TransportError:
                broken = True
        return broken

    def sync(self) -> Self:
        return self.push().pull()

    # --- on the phone ------------------------------------------------------------------------------------------------

    def sees(self, collection: str = "cases") -> dict[str, Document]:
        """What the worker sees on the phone."""
        return self.shelves[collection].documents()

    def entries_of(self, case_id: str) -> list[Document]:
        return [doc for doc in self.sees("entries").values() if doc["case_id"] == case_id]

    def unsent(self) -> list[str]:
        return [key for shelf in self.shelves.values() for key in shelf.unsent()]

    def write(self, collection: str, **values: Any) -> str:
        self._counter += 1
        doc = {"id": new_id(), **values, "w": f"{self._counter}:{new_id()}"}
        self.shelves[collection].write(doc)
        return str(doc["id"])

    def captures(self, **values: Any) -> str:
        """A dispute, written where the worker stands."""
        return self.write("cases", **{"kind": "dispute", "captured_at": wall_ms(), **values})

    def edits(self, case_id: str, **values: Any) -> None:
        self.write("cases", id=case_id, **values)

    def notes(self, case_id: str, text: str) -> str:
        return self.write("entries", case_id=case_id, type="note", at=wall_ms(), body={"text": text})

    def acts_offline(self, case_id: str, act: str, **args: Any) -> str:
        """An act done on the phone: an entry that the server will run."""
        seen = self.sees()[case_id].get("status")
        body = {"act": act, "args": args, "seen_status": seen}
        return self.write("entries", case_id=case_id, type="act", at=wall_ms(), body=body)

    def visits(self, **values: Any) -> str:
        return self.write(
            "visits", **{"subject_kind": "place", "at": wall_ms(), "captured_at": wall_ms(), **values}
        )


def fix_in(cell: Document, crs: Crs, *, accuracy_m: float = 8.0) -> Document:
    """A fix well inside a cell, in the coordinate system that a phone's maker chose."""
    ground = Ground.of(cell)
    assert ground is not None
    inside = ground.shape.representative_point()
    lon, lat = convert_point(inside.x, inside.y, Crs.WGS84, crs)
    return {
        "lon": lon,
        "lat": lat,
        "crs": str(crs),
        "accuracy_m": accuracy_m,
        "confidence": 68,
        "source": "gps",
    }
