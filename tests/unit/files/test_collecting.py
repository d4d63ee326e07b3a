"""Nothing that a document holds is ever collected, and nothing else stays: laws over random histories (FI5–FI8).

Histories are drawn from a seed that is printed; bugs planted into the collector must be found by them.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import random
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from server.files import keeper as keeping
from server.files.keeper import FileKeeper, read_blob
from server.files.store import BlobStore, BytesLost, blob_name, part_name, thumbnail_name
from server.files.verdicts import Checked
from sync import content, uploads
from sync.erasing import erase_work
from sync.errors import NotFound
from sync.uploads import Sender, Wanted
from sync.values import Collection
from tests.unit.sync.district import DAY, DISTRICT, District, make_district

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STEPS = 60
SEEDS = range(12)
CONTENTS = [b"one picture", b"another one", b"a third one"]


class _Store(BlobStore):
    """Dates what is put by the history's clock."""

    def __init__(self, folder: Path, district: District) -> None:
        super().__init__(folder.as_uri())
        self.folder, self.district = folder, district

    def put(self, name: str, content: bytes) -> None:
        super().put(name, content)
        os.utime(self.folder / name, (self.district.now / 1000,) * 2)

    def _sync(self, path: Path) -> None:
        """No history outlives its test."""


class Served:
    """As much of a district being served as the keeper asks for."""

    def __init__(self, district: District) -> None:
        self.code, self.keys, self.chance = DISTRICT, district.keys, district.chance
        self.district, self.writer = district, self
        self.dies = False
        self.meanwhile: Callable[[], None] | None = None  # what another process does before the next commit

    def read_blocking(self, question: Callable[[Any], Any]) -> Any:
        with self.district.store.read() as reader:
            return question(reader)

    def submit_blocking(self, work: Any, *, actor: str = "system") -> Any:
        if self.dies and actor == "files":
            self.dies = False
            raise RuntimeError("the process dies between the store and the database")
        if self.meanwhile is not None and actor == "files":
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return self.district.commit(work)


class History:
    """Two workers, some cases, pictures of which many are the same, and a collector that runs whenever it likes."""

    def __init__(self, folder: Path, template: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.district = District(folder / "d.db", template=template)
        self.served: Any = Served(self.district)
        self.keeper = FileKeeper(
            (folder / "files").as_uri(), lambda _, data: Checked("image/jpeg", data, b"small " + data)
        )
        self.keeper.store = self.store = _Store(folder / "files", self.district)
        self.an = self.district.phone("an")
        self.user = self.district.users["an"]
        self.cases: list[str] = []
        self.sent: dict[str, bytes] = {}  # by file id, what its document names
        self.known: list[str] = []  # files whose document is here
        self.claimed: list[list[str]] = []

    def close(self) -> None:
        self.keeper.close()
        self.district.close()

    def photo(self, data: bytes) -> str:
        """A document of the first case with its bytes, looked at."""
        self.picture(data)
        self._upload(self.known[-1], whole=True)
        self.look()
        return self.known[-1]

    def step(self) -> None:
        does = self.chance.choice(
            [self.capture, self.picture, self.picture, self.picture, self.upload, self.upload, self.look, self.look,
             self.forget, self.forget_case, self.time, self.sweep, self.claim, self.delete, self.die, self.race]
        )  # fmt: skip
        does()
        self.check()

    def capture(self) -> None:
        self.cases.append(self.an.capture()["id"])

    def picture(self, data: bytes | None = None) -> None:
        """A document, its bytes, or both, in any order."""
        if not self.cases:
            return
        file_id, data = self.an.new()["id"], data or self.chance.choice(CONTENTS)
        self.sent[file_id] = data
        document = {
            "id": file_id,
            "owner_id": self.chance.choice(self.cases),
            "kind": "photo",
            "sha256": hashlib.sha256(data).hexdigest(),
            "w": self.an.next_w(),
        }
        if self.chance.random() < 0.3:
            self._upload(file_id, whole=True)
        self.an.push("files", document)
        self.known.append(file_id)

    def upload(self) -> None:
        if self.known:
            self._upload(self.chance.choice(self.known), whole=self.chance.random() < 0.8)

    def _upload(self, file_id: str, *, whole: bool) -> None:
        data, sender, name = self.sent[file_id], Sender(self.user, 1), self.chance.randbytes(16).hex()
        key = content.id_bytes(Collection.files, file_id)
        wanted = Wanted(name, key, None, hashlib.sha256(data).hexdigest(), len(data), b"told")
        try:
            self.district.commit(uploads.open_upload(sender, wanted))
        except (uploads.AlreadyStored, uploads.FileDiffers):
            return
        [row] = self.district.rows("upload", id=name)
        end = len(data) if whole else 4
        sealed = content.seal(
            self.district.keys, self.district.chance, row["dek"], data[:end], uploads.label_of(name, 0)
        )
        self.store.put(part_name(DISTRICT, name, 0, "aa"), sealed)
        self.district.commit(uploads.advance(name, sender, 0, [(0, "aa")], end))

    def look(self) -> None:
        self.keeper.look(self.served).result()

    def die(self) -> None:
        self.served.dies = True
        self.look()
        self.served.dies = False

    def forget(self) -> None:
        if self.known:
            self._erase(Collection.files, self.chance.choice(self.known))

    def forget_case(self) -> None:
        if len(self.cases) > 1:
            self._erase(Collection.cases, self.cases.pop(self.chance.randrange(len(self.cases))))

    def _erase(self, collection: int, identity: str) -> None:
        try:
            self.district.commit(erase_work(collection, identity))
        except NotFound:
            return

    def race(self) -> None:
        """Another process claims and deletes between what a look puts into the store and what it commits."""

        def meanwhile() -> None:
            self.claim()
            self.delete()

        self.served.meanwhile = meanwhile
        self.look()
        self.served.meanwhile = None

    def time(self) -> None:
        self.delete()  # nobody takes a day over it
        self.district.now += self.chance.choice([1, 10, 40]) * DAY

    def sweep(self) -> None:
        self.keeper.sweep(self.served, self.district.now)

    def claim(self) -> None:
        """Another process has claimed, and takes its time to delete."""
        self.claimed.append(self.district.commit(uploads.claim_dropped()))

    def delete(self) -> None:
        for addresses in self.claimed:
            for address in addresses:
                self.store.delete([blob_name(DISTRICT, address), thumbnail_name(DISTRICT, address)])
            self.district.commit(uploads.note_deleted(addresses))
        self.claimed = []

    # --- laws --------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Each verified file opens, and holds what was sent; nothing of what is forgotten is held."""
        with self.district.store.read() as reader:
            keys = [content.id_bytes(Collection.files, name) for name in self.known]
            for doc in reader.documents(Collection.files, keys):
                blob = uploads.held_blob(reader, doc)
                if doc.gone is not None:
                    assert blob is None
                    continue
                values = content.whole(doc, self.district.keys)
                assert (blob is not None) is (values["state"] == "verified")
                if blob is not None:
                    body = self.sent[values["id"]]
                    assert read_blob(self.store, DISTRICT, self.district.keys, doc, blob) == body
                    small = read_blob(self.store, DISTRICT, self.district.keys, doc, blob, thumbnail=True)
                    assert small == b"small " + body

    def end(self) -> None:
        """When all has settled, the store holds what is held, and nothing else."""
        self.delete()
        self.look()
        self.district.now += 400 * DAY
        self.sweep()
        self.check()
        held = {row["address"] for row in self.district.rows("blob", state="held")}
        there = {(kept.name.split("/")[1], kept.name.split("/")[-1]) for kept in self.store.kept(DISTRICT)}
        assert there == {(folder, address) for folder in ("blobs", "thumbs") for address in held}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "template.db"
    make_district(path)
    return path


def run(folder: Path, template: Path, seed: int) -> None:
    print(f"seed {seed}")
    history = History(folder, template, seed)
    try:
        for _ in range(STEPS):
            history.step()
        history.end()
    finally:
        history.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_held_stays_and_the_rest_goes(tmp_path: Path, template: Path, seed: int) -> None:
    run(tmp_path / "h", template, seed)


def run_all(folder: Path, template: Path) -> None:
    for seed in range(200):
        run(folder, template, seed)


def edited(function: Any, old: str, new: str) -> Any:
    """The function with a bug in it; the text must match."""
    source = inspect.getsource(function)
    assert source.count(old) == 1, f"{function.__name__} has changed: plant the bug anew"
    space = dict(function.__globals__)
    exec(source.replace(old, new), space)  # noqa: S102  # our own source
    return space[function.__name__]


BUGS = {
    "what another document holds is deleted too": (
        uploads,
        "claim_dropped",
        "not in held | others",
        "not in others",
    ),
    "what is held counts as unknown": (
        keeping,
        "known_addresses",
        '["held", "dropped", "deleting"]',
        '["dropped"]',
    ),
    "what is erased is not let go": (uploads, "forget", '{"state": "dropped"}', '{"state": "held"}'),
    "what was deleted since it was put is taken hold of": (
        uploads,
        "settle",
        "or not gone_from(tx, verdict.address) <= verdict.gone",
        "",
    ),
    "what expired is never ended": (uploads, "end_expired", "expires_at__le", "expires_at__gt"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_that_is_planted_is_found(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch, bug: str
) -> None:
    module, name, old, new = BUGS[bug]
    monkeypatch.setattr(module, name, edited(getattr(module, name), old, new))
    with pytest.raises((AssertionError, BytesLost)):
        run_all(tmp_path / "h", template)


def slow_collector(history: History) -> None:
    """While another process deletes a picture that was let go, the same one comes again in the same case."""
    history.capture()
    history._erase(Collection.files, history.photo(CONTENTS[0]))
    history.claim()
    history.photo(CONTENTS[0])
    history.delete()
    history.check()
    history.look()
    history.check()
    assert history.district.rows("blob", state="held") != []
    history.end()


@pytest.mark.parametrize("bug", [False, True])
def test_what_is_being_deleted_is_not_taken_hold_of(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch, bug: bool
) -> None:
    """FI7: with the bug planted, the second picture would be deleted under the hands of its document."""
    history = History(tmp_path / "h", template, 1)
    try:
        if bug:
            planted = edited(uploads.settle, '"state": "deleting"', '"state": "none"')
            monkeypatch.setattr(uploads, "settle", planted)
            with pytest.raises(BytesLost):
                slow_collector(history)
        else:
            slow_collector(history)
    finally:
        history.close()


def test_what_one_process_has_claimed_another_leaves_to_it_for_an_hour(
    tmp_path: Path, template: Path
) -> None:
    """FI7: else the slower of the two would delete what has been put there anew since."""
    history = History(tmp_path / "h", template, 1)
    try:
        history.capture()
        history._erase(Collection.files, history.photo(CONTENTS[0]))
        history.claim()
        [[address]] = history.claimed
        assert history.district.commit(uploads.claim_dropped()) == []
        # Another document of the case had the same picture, and is forgotten too: still the first one's to delete.
        row = history.district.rows("blob")[0]
        again = row | {"pk": row["pk"] + 1, "state": "dropped"}
        history.district.store.write(lambda tx: tx.insert("blob", [again]))
        assert history.district.commit(uploads.claim_dropped()) == []
        history.district.now += 3_600_000
        assert history.district.commit(uploads.claim_dropped()) == [address]
        history.end()
    finally:
        history.close()
