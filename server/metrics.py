"""Counters of this process in the text format that Prometheus reads; no label holds anything about a person."""

import threading
from collections.abc import Callable, Iterable

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
Labels = tuple[tuple[str, str], ...]
Gauge = Callable[[], Iterable[tuple[Labels, float]]]


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _sample(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    number = f"{value:.0f}" if value == int(value) else repr(value)
    return f"{name}{{{inside}}} {number}" if inside else f"{name} {number}"


class Metrics:
    """Counters, histograms and gauges by name; a name means one kind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[str, dict[Labels, float]] = {}
        self._histograms: dict[str, dict[Labels, list[float]]] = {}
        self._gauges: dict[str, tuple[str, Gauge]] = {}
        self._help: dict[str, str] = {}

    def describe(self, name: str, text: str) -> None:
        """The line of help of a metric."""
        self._help[name] = text

    def count(self, name: str, labels: Labels = (), by: float = 1) -> None:
        """Raise a counter."""
        with self._lock:
            values = self._counters.setdefault(name, {})
            values[labels] = values.get(labels, 0) + by

    def observe(self, name: str, seconds: float, labels: Labels = ()) -> None:
        """Add one duration to a histogram."""
        with self._lock:
            row = self._histograms.setdefault(name, {}).setdefault(labels, [0.0] * (len(_BUCKETS) + 2))
            for index, bound in enumerate(_BUCKETS):
                if seconds <= bound:
                    row[index] += 1
            row[-2] += 1
            row[-1] += seconds

    def gauge(self, name: str, text: str, read: Gauge) -> None:
        """A value that is asked for at each scrape."""
        self._gauges[name] = (text, read)

    def text(self) -> str:
        """Everything, in the exposition format 0.0.4."""
        lines: list[str] = []
        with self._lock:
            for name, values in sorted(self._counters.items()):
                lines += [f"# HELP {name} {self._help.get(name, name)}", f"# TYPE {name} counter"]
                lines += [_sample(name, labels, value) for labels, value in sorted(values.items())]
            for name, rows in sorted(self._histograms.items()):
                lines += [f"# HELP {name} {self._help.get(name, name)}", f"# TYPE {name} histogram"]
                for labels, row in sorted(rows.items()):
                    for index, bound in enumerate(_BUCKETS):
                        lines.append(_sample(f"{name}_bucket", (*labels, ("le", str(bound))), row[index]))
                    lines.append(_sample(f"{name}_bucket", (*labels, ("le", "+Inf")), row[-2]))
                    lines.append(_sample(f"{name}_sum", labels, row[-1]))
                    lines.append(_sample(f"{name}_count", labels, row[-2]))
        for name, (text, read) in sorted(self._gauges.items()):
            lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
            lines += [_sample(name, labels, value) for labels, value in read()]
        return "\n".join(lines) + "\n"
