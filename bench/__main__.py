"""Run the benchmarks: ``python -m bench [--only NAME] [--quick] [--full]``."""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil  # type: ignore[import-untyped]  # published without types

from bench import conversions, editions, ground, streams, timers
from bench.figures import FULL, QUICK, Figure, machine
from bench.replication import Replication

RESULTS = Path(__file__).resolve().parent / "results.json"


def figures(shared: Replication, folder: Path) -> dict[str, Callable[[], Figure]]:
    """Every benchmark by name, in the order in which the shared store grows."""
    return {
        "delta_p50_ms_20k": lambda: shared.delta("delta_p50_ms_20k", 20_000),
        "pull_docs_per_cpu_s": shared.pull_docs_per_cpu_s,
        "pull_compressed_docs_per_cpu_s": shared.pull_compressed_docs_per_cpu_s,
        "wire_bytes_per_doc": shared.wire_bytes_per_doc,
        "push_b100": shared.push_b100,
        "push_docs_per_cpu_s": shared.push_docs_per_cpu_s,
        "push_b1_16": shared.push_b1_16,
        "delta_p50_ms_200k": lambda: shared.delta("delta_p50_ms_200k", 200_000),
        "rss_200k_mib": shared.rss_200k_mib,
        "delta_p50_ms_2m": lambda: shared.delta("delta_p50_ms_2m", 2_000_000),
        "push_pg_b100": shared.push_pg_b100,
        "stream_kib": lambda: streams.stream_kib(folder, shared.scale),
        "poke_p99_ms": lambda: streams.poke_p99_ms(folder, shared.scale),
        "assign_bulk": lambda: ground.assign_bulk(shared.scale),
        "assign_one_us": lambda: ground.assign_one_us(shared.scale),
        "certainty_us": lambda: ground.certainty_us(shared.scale),
        "index_build_s": lambda: ground.index_build_s(shared.scale),
        "activate_cases_per_s": lambda: editions.activate_cases_per_s(folder, shared.scale),
        "convert_forward": lambda: conversions.convert_forward(shared.scale),
        "convert_inverse": lambda: conversions.convert_inverse(shared.scale),
        "tick_idle_us": lambda: timers.tick_idle_us(folder, shared.scale),
        "firings_per_s": lambda: timers.firings_per_s(folder, shared.scale),
    }


LONG = frozenset({"delta_p50_ms_2m"})  # two million documents take many minutes


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", metavar="NAME", help="one benchmark by name")
    parser.add_argument("--quick", action="store_true", help="fewer documents, three runs")
    parser.add_argument("--full", action="store_true", help="also those that take very long")
    parser.add_argument("--folder", type=Path, help="where databases are made (default: ./data)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    home: Path = asked.folder or Path("data")
    home.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=home))
    scale = QUICK if asked.quick else FULL
    place = machine(folder) | {"quick": asked.quick}
    found: list[Figure] = []
    try:
        with Replication(folder, scale) as shared:
            known = figures(shared, folder)
            if asked.only is not None and asked.only not in known:
                sys.stderr.write(f"There is no benchmark {asked.only!r}. Known: {', '.join(known)}\n")
                return 2
            for name, work in known.items():
                wanted = name == asked.only if asked.only else asked.full or name not in LONG
                if not wanted:
                    continue
                begun = time.monotonic()
                figure = work()
                found.append(figure)
                _tell(figure, time.monotonic() - begun)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    place["load_after"] = [round(part, 2) for part in psutil.getloadavg()]
    asked.out.write_bytes(msgspec.json.format(msgspec.json.encode(_document(place, found)), indent=2) + b"\n")
    _table(found)
    print(f"\n{asked.out}")
    return 0


def _document(place: dict[str, Any], found: list[Figure]) -> dict[str, Any]:
    rounded = [
        msgspec.structs.replace(
            figure,
            value=_short(figure.value),
            limit=None if figure.limit is None else _short(figure.limit),
            ratio=None if figure.ratio is None else _short(figure.ratio),
        )
        for figure in found
    ]
    return {"machine": place, "results": rounded}


def _short(value: float) -> float:
    """Four significant digits: no benchmark knows more."""
    return float(f"{value:.4g}")


def _tell(figure: Figure, seconds: float) -> None:
    print(f"{figure.name}: {_text(figure.value)} {figure.unit}  ({seconds:.0f} s)", flush=True)


def _text(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"


def _table(found: list[Figure]) -> None:
    heads = ("name", "value", "unit", "raw limit", "ratio", "goal")
    lines = [
        (figure.name, _text(figure.value), figure.unit, _text(figure.limit), _text(figure.ratio), figure.goal)
        for figure in found
    ]
    widths = [max(len(line[column]) for line in [heads, *lines]) for column in range(len(heads))]
    print()
    for line in (heads, tuple("-" * width for width in widths), *lines):
        cells = [
            text.rjust(width) if column in {1, 3, 4} else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


if __name__ == "__main__":
    sys.exit(main())
