"""The people of the story. Each speaks to the server over HTTP only, as their page or phone would."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from geo.coordinates import convert_point
from geo.points import Crs
from server.clocks import wall_ms
from server.phones_shelf import Document, Shelf
from server.phones_worker import Ground, uuid7
from tests.rxdb.phone import RxdbPhone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")
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
        if "text/event-stream" in answer.headers.get("content-type", ""):
            return  # heard line by line
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

    def raw(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self._client.request(method, path, json=body)

    # --- the console -------------------------------------------------------------------------------------------------

    def act(self, case_id: str, act: str, **args: Any) -> Any:
        """Do something to a case, as the console does."""
        return self.post(f"/api/v1/cases/{case_id}/acts", {"act": act, **args})

    def case(self, case_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/api/v1/cases/{case_id}")
        return found

    def waits_for(self, question: Callable[[], T]) -> T:
        """Ask again at every poke of the stream until the answer is not empty, as an open page does."""
        with self._client.stream("GET", "/sync/v1/stream") as answer:
            for line in answer.iter_lines():
                self.heard.append(line)
                if line == "event: RESYNC" and (found := question()):
                    return found
        raise AssertionError("the stream ended before it came")

    # --- the queue ---------------------------------------------------------------------------------------------------

    def queue(self) -> dict[str, dict[str, Any]]:
        """The leaders' queue as this person has it, by case."""
        return {row["case_id"]: row for row in self.get("/api/v1/escalations")["items"]}

    def acts_on_row(self, row: dict[str, Any], act: str, **args: Any) -> Any:
        """Acknowledge, instruct, sponsor, send back or extend."""
        return self.post(f"/api/v1/escalations/{row['id']}/acts", {"act": act, **args})

    def timeline(self, case_id: str) -> list[str]:
        """What happened to a case, in order: entry types, acts as `act:name`."""
        return [
            f"act:{line['body']['act']}" if line["type"] == "act" else line["type"]
            for line in self.case(case_id)["timeline"]
        ]


class Phone(Person):
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


class RxPhone:
    """A grid worker whose phone is an unmodified RxDB 17, with the published schemas and nothing but two handlers."""

    def __init__(self, url: str, username: str) -> None:
        self.username = username
        self.rxdb = RxdbPhone()
        self.user = ""
        self._url = url

    def sign_in(self) -> Self:
        """Sign in and begin to replicate every collection."""
        told = self.rxdb("login", base=self._url, username=self.username, password=PASSWORD)
        self.user = told["user"]["id"]
        for name in COLLECTIONS:
            self.rxdb("open", name, remote="http", schema="published", validate=True)
        return self.pull()

    def close(self) -> None:
        self.rxdb.close()

    def pull(self) -> Self:
        return self.sync()

    def begins_to_sync(self, collection: str) -> int:
        """A round of one collection under way; `ends_sync` waits for its end."""
        return self.rxdb.begin("sync", collection=collection)

    def ends_sync(self, order: int) -> None:
        self.rxdb.end(order)

    def sync(self) -> Self:
        """Whole rounds of every collection: what is typed goes up, what is new comes down.

        Answers to a push of one collection may bring news of another, so there are two rounds.
        """
        for _ in range(2):
            orders = [self.rxdb.begin("sync", collection=name) for name in COLLECTIONS]
            for order in orders:
                self.rxdb.end(order)
        return self

    def goes_out_of_reach(self) -> None:
        for name in COLLECTIONS:
            self.rxdb("offline", name)

    def comes_back(self) -> Self:
        for name in COLLECTIONS:
            self.rxdb("online", name)
        return self.sync()

    def errors(self) -> list[Any]:
        """What RxDB complained about, but for the time out of reach."""
        found = [error for name in COLLECTIONS for error in self.rxdb("counts", name)["errors"]]
        return [error for error in found if error[1] != "no network"]

    def sees(self, collection: str = "cases") -> dict[str, Document]:
        return self.rxdb.documents(collection)

    def entries_of(self, case_id: str) -> list[Document]:
        return [doc for doc in self.sees("entries").values() if doc["case_id"] == case_id]

    def bones(self, collection: str, identity: str) -> str:
        """Everything RxDB keeps of a document, its own copies of the master included."""
        return str(self.rxdb("bones", collection, ids=[identity])["text"])

    def captures(self, **values: Any) -> str:
        doc = {"kind": "dispute", "captured_at": wall_ms(), **values}
        return str(self.rxdb("insert", "cases", document=doc)["ids"][0])

    def edits(self, case_id: str, **values: Any) -> None:
        self.rxdb("patch", "cases", id=case_id, values=values)

    def notes(self, case_id: str, text: str) -> str:
        doc = {"case_id": case_id, "type": "note", "at": wall_ms(), "body": {"text": text}}
        return str(self.rxdb("insert", "entries", document=doc)["ids"][0])

    def visits(self, **values: Any) -> str:
        doc = {"subject_kind": "place", "at": wall_ms(), "captured_at": wall_ms(), **values}
        return str(self.rxdb("insert", "visits", document=doc)["ids"][0])
