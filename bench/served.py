"""A district of 211 cells behind the real server, with people on phones; made through the doors that people use."""

import http
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import psutil  # type: ignore[import-untyped]  # published without types

import sync.cases
from bench.documents import Maker, push_body
from bench.wire import Connection, WireError, request_bytes
from server.auth.passwords import Hasher
from server.demo.district import draw
from server.demo.units import units
from server.districts import District
from server.runtime import initialise, opened
from server.settings import Settings
from sync import administration as adm, generations
from sync.commit import Context, Work
from sync.pull import Caller
from sync.push import push_work
from sync.reassign import Budget, reassign_work
from sync.store import Tx
from sync.values import Collection

DISTRICT = "410399"
PASSWORD = "lan tian bai yun"  # noqa: S105  # of invented people
WRITER, READER, NEAR, FAR = "writer", "reader", "near", "far"
PHONES = tuple(f"phone{number:02d}" for number in range(16))
DENSE, NARROW = slice(10, 20), slice(20, 23)  # cells of the first pull, and of the small delta
WALKED = slice(50, None)  # where the workers of a load are: their cells are not filled
DENSE_DOCUMENTS = 10_000
BATCH = 100
_DATA = Path(sync.cases.__file__).parent / "data"
_START_SECONDS = 60


def prepare(settings: Settings, workers: int = 0) -> list[tuple[float, float]]:
    """Make the district; returns a point in the middle of each cell.

    `workers`: how many grid workers more there are, `worker0000` and so on, dealt round over the cells in ``WALKED``.
    """
    layer = draw(7)
    initialise(settings, DISTRICT, "涧东区", "涧东")
    codes = [cell.code for cell in layer.cells]
    password = Hasher.shared().hash(PASSWORD)
    with opened(settings) as runtime:
        writer = runtime.districts[DISTRICT].writer

        def do(work: Work[Any]) -> Any:
            return writer.submit_blocking(work)

        do(generations.activate_generation(do(generations.add_generation(layer))))
        while do(reassign_work(Budget())).pk is not None:  # not while something is measured
            pass
        names = adm.UnitRecord.__struct_fields__
        do(
            adm.import_units(
                adm.UnitRecord(**{name: getattr(unit, name) for name in names}) for unit in units()
            )
        )
        do(adm.load_ruleset((_DATA / "rules_default.toml").read_text(encoding="utf-8")))
        for name in ("calendar_weekdays.toml", "calendar_always.toml"):
            do(adm.load_calendar((_DATA / name).read_text(encoding="utf-8")))
        do(adm.put_settings({"short_name": "涧东"}))
        cells_of = {WRITER: codes[:1], READER: codes[DENSE], NEAR: codes[NARROW], FAR: codes[NARROW]}
        cells_of |= {phone: [codes[30 + place]] for place, phone in enumerate(PHONES)}
        for username, cells in cells_of.items():
            do(adm.add_account(username, username, password))
            for cell in cells:
                do(adm.grant_role(username, "grid_worker", cell=cell))
        for number in range(workers):
            do(_worker(f"worker{number:04d}", codes[WALKED][number % len(codes[WALKED])], password))
    middles = [cell.geometry.representative_point() for cell in layer.cells]
    return [(round(point.x, 7), round(point.y, 7)) for point in middles]


def _worker(username: str, cell: str, password: str) -> Work[None]:
    def work(tx: Tx, context: Context) -> None:
        adm.add_account(username, username, password)(tx, context)
        adm.grant_role(username, "grid_worker", cell=cell)(tx, context)

    return work


def push_cases(district: District, batches: Iterable[Sequence[dict[str, Any]]]) -> None:
    """Captures of the writer, handed in within this process."""
    with district.store.read() as reader:
        config = district.config_of(reader)
    account = next(row for row in config.accounts.values() if row.username == WRITER)
    caller = Caller(account.pk, account.id, account.username, 0, "bench", 0, {})
    for batch in batches:
        district.writer.submit_blocking(push_work(caller, Collection.cases, push_body(batch)))


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Process:
    """A server process that is ours."""

    def __init__(self, module: str, port: int, environ: dict[str, str], log: Path) -> None:
        self.port = port
        self._log = log.open("wb")
        self._child = subprocess.Popen(
            [sys.executable, "-m", module],
            env={**os.environ, **environ},
            stdout=self._log,
            stderr=self._log,
        )
        self.process = psutil.Process(self._child.pid)
        self._log_path = log

    def wait(self, path: str) -> None:
        """Until it answers on `path`."""
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            if self._child.poll() is not None:
                break
            try:
                connection = Connection(self.port)
            except ConnectionRefusedError:
                time.sleep(0.1)
                continue
            request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
            if connection.send(request).status == http.HTTPStatus.OK:
                connection.close()
                return
            time.sleep(0.1)
        tail = self._log_path.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise WireError(f"the server did not start:\n{tail}")

    def cpu(self) -> float:
        """Seconds of CPU it has used, all threads, user and system."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def rss_mib(self) -> float:
        """Its resident memory."""
        return float(self.process.memory_info().rss) / 2**20

    def stop(self) -> None:
        """End it and wait."""
        self._child.terminate()
        try:
            self._child.wait(20)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._log.close()


class Served:
    """The running district: push, pull, fill."""

    def __init__(
        self,
        folder: Path,
        database_url: str = "",
        *,
        workers: int = 0,
        ready: Callable[[Settings], None] = lambda _: None,
    ) -> None:
        """Make a district and serve it; `ready` is called in between."""
        self.folder = folder
        settings = Settings(data=str(folder / "data"), database_url=database_url)
        self.points = prepare(settings, workers)
        if workers:
            self.points = self.points[: WALKED.start]
        ready(settings)
        self.maker = Maker(11, self.points)
        self.count = 0
        port = free_port()
        environ = {
            "WANGGE_DATA": settings.data,
            "WANGGE_DATABASE_URL": database_url,
            "WANGGE_PORT": str(port),
            # one device plays all the phones of a district
            **dict.fromkeys(("WANGGE_DEVICE_REQUESTS", "WANGGE_DEVICE_ROWS", "WANGGE_DEVICE_BYTES"), "0"),
        }
        self.server = Process("bench.serve", port, environ, folder / "server.log")
        try:
            self.server.wait("/health/live")
            self.connection = Connection(port)
        except BaseException:  # an interrupt too must leave no server behind
            self.server.stop()
            raise
        self._tokens: dict[str, tuple[str, float]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
        self.server.stop()

    def token(self, username: str) -> str:
        """An access token; a new session when the last is older than ten minutes (a token lives fifteen)."""
        known = self._tokens.get(username)
        if known is not None and time.monotonic() - known[1] < 600:
            return known[0]
        body = {"username": username, "password": PASSWORD, "device": {"name": "bench"}}
        answer = self.connection.send(request_bytes("/api/v1/sessions", msgspec.json.encode(body))).json()
        self._tokens[username] = (answer["access_token"], time.monotonic())
        return str(answer["access_token"])

    def push_request(self, username: str, body: bytes) -> bytes:
        """A push of cases."""
        return request_bytes("/sync/v1/cases/push", body, self.token(username))

    def pull_request(self, username: str, checkpoint: Any, *, limit: int = 1, gzip: bool = False) -> bytes:
        """A pull of cases."""
        body = msgspec.json.encode({"checkpoint": checkpoint, "limit": limit})
        return request_bytes("/sync/v1/cases/pull", body, self.token(username), gzip=gzip)

    def pull_all(self, username: str, checkpoint: Any = None) -> Any:
        """Pull until nothing is due; returns the checkpoint."""
        while True:
            answer = self.connection.send(self.pull_request(username, checkpoint)).json()
            checkpoint = answer["checkpoint"]
            if not answer["documents"]:
                return checkpoint

    def captures(self, count: int) -> list[list[dict[str, Any]]]:
        """Cases to push, in batches of 100: the first ten thousand lie in the dense cells, the others anywhere else."""
        dense, others = self.points[DENSE], [*self.points[: DENSE.start], *self.points[DENSE.stop :]]
        found: list[list[dict[str, Any]]] = []
        for start in range(0, count, BATCH):
            chosen = dense if self.count + start < DENSE_DOCUMENTS else others
            size = min(BATCH, count - start)
            found.append([self.maker.case(chosen[(start + place) % len(chosen)]) for place in range(size)])
        self.count += count
        return found

    def push_all(self, requests: list[bytes], expected: int) -> None:
        """Send pushes one after the other; every capture must come back with the server's fields."""
        stored = 0
        for request in requests:
            answer = self.connection.send(request)
            if answer.status != http.HTTPStatus.OK:
                answer.json()
            stored += answer.body.count(b'"status":"submitted"')
        if stored != expected:
            raise WireError(f"{stored} of {expected} captures were stored")

    def fill_to(self, count: int) -> None:
        """Push until the store holds `count` cases."""
        while self.count < count:
            batches = self.captures(min(2_000, count - self.count))
            self.push_all(
                [self.push_request(WRITER, push_body(batch)) for batch in batches],
                sum(len(batch) for batch in batches),
            )
