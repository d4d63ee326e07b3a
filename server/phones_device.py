"""One simulated phone: what its worker writes while out of reach, and how it comes into step with the server."""

import asyncio
import random

from server import phones_worker as worker
from server.clocks import wall_ms
from server.phones_line import Line, Lost
from server.phones_shelf import Document, Shelf

COLLECTIONS = ("cells", "cases", "entries", "visits", "households", "tasks", "files", "notices")
CAPTURED = ("cases", "entries", "visits")
_PUSH_ROWS = 10  # small batches, so that one phone has several requests under way
_CONTACTS_MAX = 30  # contacts without faults until a phone must be in step
_AGAIN = 0.2  # seconds
_CLOSED = frozenset({"closed", "filed", "merged", "voided", "withdrawn", "declined", "referred_out"})


class Phone:
    """One phone and its worker; `name` marks what is written on it."""

    def __init__(self, name: str, line: Line, chance: random.Random) -> None:
        self.name = name
        self.line = line
        self.shelves = {collection: Shelf(collection) for collection in COLLECTIONS}
        self.captured: dict[str, list[str]] = {collection: [] for collection in CAPTURED}
        self.acknowledged: set[tuple[str, str]] = set()  # collection and id
        self.expected_cell: dict[str, str] = {}  # by case
        self.repeated = 0
        self.edits = 0
        self._unanswered: set[tuple[str, str]] = (
            set()
        )  # writes whose push began and whose answer has not come
        self._chance = chance
        self._counter = 0
        self._marks = 0

    # --- the worker --------------------------------------------------------------------------------------------------

    def _write(self, collection: str, values: Document) -> None:
        self._counter += 1
        w = f"{self._counter}:{worker.uuid7(self._chance, wall_ms())}"
        self.shelves[collection].write({**values, "w": w})

    def _mark(self) -> str:
        self._marks += 1
        return f"{self.name}-{self._marks}"

    def _capture(self, collection: str, doc: Document) -> None:
        self._write(collection, doc)
        self.captured[collection].append(doc["id"])

    def work(self) -> None:
        """Some captures, perhaps an edit, and a look at the notices."""
        for _ in range(self._chance.randint(1, 4)):
            self.capture()
        for _ in range(self._chance.randint(0, 2)):
            self.edit()
        self.read_notices()

    def capture(self) -> None:
        """A case, a visit, or something written on a case."""
        chance, now = self._chance, wall_ms()
        draw = chance.random()
        cases = self._open_cases()
        if draw < 0.25 and cases:
            self._capture("entries", worker.entry(chance, self._mark(), now, chance.choice(cases)))
        elif draw < 0.5:
            homes = sorted(self.shelves["households"].documents())
            home = chance.choice(homes) if homes else None
            self._capture("visits", worker.visit(chance, self._mark(), now, home))
        else:
            ground = self._ground()
            doc = worker.case(chance, self._mark(), now, ground)
            self._capture("cases", doc)
            if ground is not None:
                self.expected_cell[doc["id"]] = ground.code

    def _ground(self) -> worker.Ground | None:
        """One of the cells on this phone, with its outline."""
        cells = self.shelves["cells"].documents()
        known = sorted(key for key, cell in cells.items() if cell.get("geometry"))
        return worker.Ground.of(cells[self._chance.choice(known)]) if known else None

    def edit(self) -> None:
        """Add something to a case on this phone, one's own or a colleague's."""
        cases = self._open_cases()
        if cases:
            self.edits += 1
            self._write("cases", {"id": self._chance.choice(cases), **worker.case_edit(self._chance)})

    def read_notices(self) -> None:
        """Mark what was told as read."""
        for key, notice in self.shelves["notices"].documents().items():
            if notice.get("read_at") is None:
                self._write("notices", {"id": key, "read_at": wall_ms()})

    def _open_cases(self) -> list[str]:
        # a shell of a protected case has no time of capture: its holder cannot write it
        return sorted(
            key
            for key, doc in self.shelves["cases"].documents().items()
            if doc.get("captured_at") is not None and doc.get("status") not in _CLOSED
        )

    def unsent(self) -> list[str]:
        """Everything written here that the server is not known to have, as `collection id`."""
        return [f"{name} {key}" for name, shelf in self.shelves.items() for key in shelf.unsent()]

    # --- the contact -------------------------------------------------------------------------------------------------

    async def contact(self) -> bool:
        """Push and pull everything once; False when something got lost on the way."""
        told = {"wall": wall_ms(), "counter": self._counter, "pending": len(self.unsent())}
        try:
            await self.line.post("hello", "/sync/v1/hello", told)
        except Lost:
            return False
        done = await asyncio.gather(*(self._sync(shelf) for shelf in self.shelves.values()))
        return all(done)

    async def _sync(self, shelf: Shelf) -> bool:
        rows = shelf.rows()
        batches = [rows[start : start + _PUSH_ROWS] for start in range(0, len(rows), _PUSH_ROWS)]
        pushed = await asyncio.gather(*(self._push(shelf, batch) for batch in batches))
        return all(pushed) and await self.pull(shelf)

    async def _push(self, shelf: Shelf, rows: list[Document]) -> bool:
        writes = {(shelf.name, str(row["newDocumentState"].get("w"))) for row in rows}
        self.repeated += len(writes & self._unanswered)
        self._unanswered |= writes
        try:
            answer = await self.line.post("push", f"/sync/v1/{shelf.name}/push", rows)
        except Lost:
            return False
        self._unanswered -= writes
        shelf.take_answer(rows, answer)
        self.acknowledged |= {(shelf.name, row["newDocumentState"]["id"]) for row in rows}
        return True

    async def pull(self, shelf: Shelf) -> bool:
        """Pull one collection until an empty page; False when a request or reply got lost."""
        path = f"/sync/v1/{shelf.name}/pull"
        try:
            while shelf.take_page(
                await self.line.post("pull", path, {"checkpoint": shelf.checkpoint, "limit": 1})
            ):
                pass
        except Lost:
            return False
        return True

    # --- the end -----------------------------------------------------------------------------------------------------

    async def heal(self) -> None:
        """Contacts without faults until nothing is unsent; raises ``Lost`` when the server stays out of reach."""
        self.line.loss = 0.0
        reached = False
        for _ in range(_CONTACTS_MAX):
            reached = await self.contact()
            if reached and not self.unsent():
                return
            await asyncio.sleep(_AGAIN)
        if not reached:
            raise Lost

    async def compare(self) -> tuple[dict[str, Shelf], list[str]]:
        """What a pull from zero brings, and the documents on which this phone differs from it.

        A server at work moves on between two pulls, so what differs is looked at again. Raises ``Lost``.
        """
        fresh = {collection: Shelf(collection) for collection in COLLECTIONS}
        apart: list[str] = []
        for _ in range(5):
            for name, shelf in fresh.items():
                if not (await self.pull(shelf) and await self.pull(self.shelves[name])):
                    raise Lost
            apart = [
                f"{name} {key}"
                for name, shelf in self.shelves.items()
                for key in sorted(shelf.documents().keys() | fresh[name].documents().keys())
                if shelf.documents().get(key) != fresh[name].documents().get(key)
            ]
            if not apart:
                break
        return fresh, apart
