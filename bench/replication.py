"""Push and pull through the real server over HTTP, beside raw inserts and look-ups of the same driver."""

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bench.documents import push_body
from bench.figures import Figure, Scale, cpu_rate, median, percentile, rate
from bench.postgres import postgres
from bench.raw import RawPostgres, RawSqlite, Row, rows_of
from bench.served import FAR, NARROW, NEAR, PHONES, READER, WRITER, Served
from bench.wire import WireError, drive

CHECKS = "all checks on: session, scope, validation, merge, history, clocks, audit, idempotency, sealing"
_CELLS = 211


class Replication(AbstractContextManager["Replication"]):
    """The benchmarks that share one district and one raw store, both of which grow as they go."""

    def __init__(self, folder: Path, scale: Scale) -> None:
        self._folder = folder
        self.scale = scale
        self._served: Served | None = None
        self._raw: RawSqlite | None = None
        self._pushed: tuple[list[float], list[float], list[float], list[float]] | None = None

    def __exit__(self, *_: object) -> None:
        if self._served is not None:
            self._served.__exit__(None, None, None)
        if self._raw is not None:
            self._raw.close()

    @property
    def served(self) -> Served:
        """The district, started on first use."""
        if self._served is None:
            self._served = Served(self._folder / "district")
        return self._served

    @property
    def raw(self) -> RawSqlite:
        """The raw store."""
        if self._raw is None:
            self._raw = RawSqlite(self._folder / "raw" / "raw.db")
        return self._raw

    # --- push -------------------------------------------------------------------------------------------------------

    def _push_runs(self) -> tuple[list[float], list[float], list[float], list[float]]:
        """Interleaved runs: raw documents a second, ours, raw a CPU-second, ours a CPU-second of the server."""
        if self._pushed is not None:
            return self._pushed
        served, raw = self.served, self.raw
        served.fill_to(max(served.count, 2_000))
        result: tuple[list[float], list[float], list[float], list[float]] = ([], [], [], [])
        for _ in range(self.scale.runs):
            batches = served.captures(self.scale.documents)
            rows = rows_of(batches, _CELLS, raw.count)
            requests = [served.push_request(WRITER, push_body(batch)) for batch in batches]
            count = self.scale.documents

            def insert(rows: list[list[Row]] = rows) -> None:
                raw.insert(rows)

            def push(requests: list[bytes] = requests, count: int = count) -> None:
                served.push_all(requests, count)

            begun = time.process_time()
            result[0].append(rate(count, insert))
            result[2].append(count / (time.process_time() - begun))
            before = served.server.cpu()
            result[1].append(rate(count, push))
            result[3].append(count / (served.server.cpu() - before))
        self._pushed = result
        return result

    def _push_conditions(self) -> str:
        scale = self.scale
        return (
            f"{scale.documents} new cases of 1.2 KB a run, 100 a request, one client, SQLite WAL FULL; "
            f"median of {scale.runs} interleaved runs; {CHECKS}"
        )

    def push_b100(self) -> Figure:
        """Documents a second over HTTP, of raw inserts."""
        raw, ours, _, _ = self._push_runs()
        value, limit = median(ours), median(raw)
        return Figure(
            "push_b100",
            value,
            "documents/s",
            limit,
            value / limit,
            "ratio ≥ 0.30 (first step 0.15)",
            self._push_conditions(),
        )

    def push_docs_per_cpu_s(self) -> Figure:
        """Documents a CPU-second of the server process."""
        _, _, raw, ours = self._push_runs()
        value, limit = median(ours), median(raw)
        return Figure(
            "push_docs_per_cpu_s",
            value,
            "documents/CPU-s",
            limit,
            value / limit,
            "value ≥ 20000 (first step 10000)",
            self._push_conditions(),
        )

    def push_b1_16(self) -> Figure:
        """Sixteen phones that push one case a request, of raw inserts one by one."""
        served, raw, scale = self.served, self.raw, self.scale
        ours: list[float] = []
        limits: list[float] = []
        each = scale.singles // len(PHONES)
        count = each * len(PHONES)
        for _ in range(scale.runs):
            queues = [
                [
                    served.push_request(phone, push_body([served.maker.case(served.points[30 + place])]))
                    for _ in range(each)
                ]
                for place, phone in enumerate(PHONES)
            ]
            served.count += count
            singles = [[served.maker.case()] for _ in range(count)]
            rows = rows_of(singles, _CELLS, raw.count)
            begun = time.perf_counter()
            raw.insert(rows)
            limits.append(count / (time.perf_counter() - begun))
            begun = time.perf_counter()
            answers = drive(served.server.port, queues)
            ours.append(count / (time.perf_counter() - begun))
            stored = sum(answer.body.count(b'"status":"submitted"') for answer in answers)
            if stored != count:
                raise WireError(f"{stored} of {count} captures were stored")
        value, limit = median(ours), median(limits)
        return Figure(
            "push_b1_16",
            value,
            "documents/s",
            limit,
            value / limit,
            "ratio ≥ 1.0",
            f"{count} cases a run, one a request, 16 clients, one request in flight each; raw: one a transaction; "
            f"median of {scale.runs} interleaved runs; {CHECKS}",
        )

    def push_pg_b100(self) -> Figure:
        """The same push into PostgreSQL, beside one `unnest` a transaction."""
        scale = self.scale
        count = scale.documents // 4
        with postgres(self._folder) as url:
            raw = RawPostgres(url)
            with Served(self._folder / "pg", url) as served:
                served.fill_to(500)
                limits: list[float] = []
                ours: list[float] = []
                for _ in range(scale.runs):
                    batches = served.captures(count)
                    rows = rows_of(batches, _CELLS, served.count)
                    requests = [served.push_request(WRITER, push_body(batch)) for batch in batches]
                    limits.append(rate(count, _bound(raw.insert, rows)))
                    ours.append(rate(count, _bound(served.push_all, requests, count)))
            raw.close()
        value, limit = median(ours), median(limits)
        return Figure(
            "push_pg_b100",
            value,
            "documents/s",
            limit,
            value / limit,
            "beside raw; no goal of its own",
            f"{count} cases a run, 100 a request, one client, PostgreSQL on this machine with its defaults; raw: one "
            f"insert from unnest() a transaction; median of {scale.runs} interleaved runs; {CHECKS}",
        )

    # --- pull -------------------------------------------------------------------------------------------------------

    def _first_pull(self, *, gzip: bool) -> tuple[int, float, int]:
        """Documents, CPU-seconds of the server, bytes on the wire, of one first pull to the end."""
        served = self.served
        count = size = 0
        checkpoint: Any = None
        before = served.server.cpu()
        while True:
            answer = served.connection.send(served.pull_request(READER, checkpoint, gzip=gzip))
            page = _Page.read(answer.body)
            if not page.documents:
                break
            count += len(page.documents)
            size += len(answer.wire)
            checkpoint = page.checkpoint
        spent = served.server.cpu() - before
        if count < self.scale.first_pull:
            raise WireError(f"only {count} documents came")
        return count, spent, size

    def _pulled(self, *, gzip: bool) -> tuple[float, float, str]:
        self.served.fill_to(20_000)
        if self.raw.count < self.scale.first_pull:
            batches = self.served.maker.batches(self.scale.first_pull, 100)
            self.raw.insert(rows_of(batches, _CELLS, self.raw.count))
        self._first_pull(gzip=gzip)  # the first one warms caches of both
        ours: list[float] = []
        limits: list[float] = []
        count = 0
        for _ in range(self.scale.runs):
            count, spent, _ = self._first_pull(gzip=gzip)
            ours.append(count / spent)
            limits.append(cpu_rate(self.scale.first_pull, self._bare_pull(gzip=gzip)))
        conditions = (
            f"first pull of {count} cases by a grid worker with 10 cells, pages sized by the server, "
            f"{'gzip' if gzip else 'plain'}, store of {self.served.count}; raw: the rows joined"
            f"{' and compressed in pieces of 512 KiB' if gzip else ''}, no HTTP; median of {self.scale.runs} runs"
        )
        return median(ours), median(limits), conditions

    def _bare_pull(self, *, gzip: bool) -> Callable[[], Any]:
        def work() -> None:
            body = self.raw.bodies(self.scale.first_pull)
            if gzip:
                for start in range(0, len(body), 512 * 1024):
                    zlib.compress(body[start : start + 512 * 1024], 6)

        return work

    def pull_docs_per_cpu_s(self) -> Figure:
        """A first pull, plain."""
        value, limit, conditions = self._pulled(gzip=False)
        return Figure(
            "pull_docs_per_cpu_s",
            value,
            "documents/CPU-s",
            limit,
            value / limit,
            "value ≥ 80000 (first step 40000)",
            conditions,
        )

    def pull_compressed_docs_per_cpu_s(self) -> Figure:
        """A first pull, compressed."""
        value, limit, conditions = self._pulled(gzip=True)
        return Figure(
            "pull_compressed_docs_per_cpu_s",
            value,
            "documents/CPU-s",
            limit,
            value / limit,
            "value ≥ 40000",
            conditions,
        )

    def wire_bytes_per_doc(self) -> Figure:
        """What a pulled case takes on the wire, of the same case as JSON; compressed, in the conditions."""
        served = self.served
        served.fill_to(20_000)
        count, _, size = self._first_pull(gzip=False)
        packed_count, _, packed = self._first_pull(gzip=True)
        page = _Page.read(served.connection.send(served.pull_request(READER, None)).body)
        document = sum(len(raw) for raw in page.documents) / len(page.documents)
        pushed = [served.maker.case() for _ in range(200)]
        sent = sum(len(msgspec.json.encode(case)) for case in pushed) / len(pushed)
        value = size / count
        share = packed / packed_count / document
        return Figure(
            "wire_bytes_per_doc",
            value,
            "bytes",
            document,
            value / document,
            "ratio ≤ 1.05; compressed ≤ 0.25",
            f"first pull of {count} cases; the document as it is kept is {document:.0f} bytes ({sent:.0f} as the "
            f"phone sent it, before the server's fields); gzip: {packed / packed_count:.0f} bytes, {share:.2f} of it",
        )

    def delta(self, name: str, size: int) -> Figure:
        """p50 of a pull of ten changed cases in three cells, in a store of `size`."""
        served = self.served
        served.fill_to(size)
        edited = self._edit_new(10)
        times: list[float] = []
        for _ in range(self.scale.delta_rounds):
            checkpoint = served.pull_all(NEAR)
            edited = self._edit_again(edited)
            request = served.pull_request(NEAR, checkpoint)
            answer = served.connection.send(request)
            for _ in range(30):
                begun = time.perf_counter()
                answer = served.connection.send(request)
                times.append((time.perf_counter() - begun) * 1000)
            found = len(_Page.read(answer.body).documents)
            if found != len(edited):
                raise WireError(f"{found} documents in a delta of {len(edited)}")
        value = percentile(times, 0.5)
        limit = self._bare_delta()
        return Figure(
            name,
            value,
            "ms",
            limit,
            value / limit,
            "value ≤ 1 (first step 2); 2 M / 200k ≤ 1.2",
            f"pull of 10 edited cases by a grid worker with 3 cells over HTTP, store of {served.count}, p99 "
            f"{percentile(times, 0.99):.2f} ms, {len(times)} pulls; limit: the same range of the raw store in process",
        )

    def _edit_new(self, count: int) -> list[dict[str, Any]]:
        served = self.served
        points = served.points[NARROW]
        cases = [served.maker.case(points[place % len(points)]) for place in range(count)]
        served.count += count
        answer = served.connection.send(served.push_request(FAR, push_body(cases))).json()
        return list(answer)

    def _edit_again(self, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
        maker = self.served.maker
        rows = [
            {
                "newDocumentState": {**held, "description": maker.text(165), "w": maker.write_id()},
                "assumedMasterState": held,
            }
            for held in documents
        ]
        answer = self.served.connection.send(self.served.push_request(FAR, msgspec.json.encode(rows))).json()
        return list(answer)

    def _bare_delta(self) -> float:
        raw = self.raw
        while raw.count < self.scale.first_pull:
            raw.insert(rows_of(self.served.maker.batches(1_000, 100), _CELLS, raw.count))
        over = raw.count - 700  # about ten documents in three of 211 cells
        times: list[float] = []
        for _ in range(300):
            begun = time.perf_counter()
            raw.delta((20, 21, 22), over)
            times.append((time.perf_counter() - begun) * 1000)
        return percentile(times, 0.5)

    def rss_200k_mib(self) -> Figure:
        """Resident memory of the server after 200,000 documents and a first pull."""
        served = self.served
        served.fill_to(200_000)
        self._first_pull(gzip=False)
        value = served.server.rss_mib()
        return Figure(
            "rss_200k_mib",
            value,
            "MiB",
            None,
            None,
            "value ≤ 150",
            f"server process with {served.count} cases stored through it and a first pull of 10,000 behind it",
        )


class _Page(msgspec.Struct, frozen=True):
    documents: list[msgspec.Raw]
    checkpoint: Any

    @classmethod
    def read(cls, body: bytes) -> "_Page":
        """The page; its documents undecoded, so that the client costs little."""
        return msgspec.json.decode(body, type=cls)


def _bound(work: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    return lambda: work(*arguments)


@contextmanager
def replication(folder: Path, scale: Scale) -> Iterator[Replication]:
    """The shared district, ended with everything it started."""
    with Replication(folder, scale) as found:
        yield found
