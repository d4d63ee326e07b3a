"""The faults of a layer on a terminal and in a file, and a bar while a large file is read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from server.cli.common import echo_fault

LARGE_BYTES = 1 << 20  # smaller files are read before a bar is drawn
_COLOURS = {"error": "red", "warning": "yellow", "notice": "blue"}


def show_faults(faults: list[dict[str, Any]]) -> None:
    """A table on a terminal, else a line for each; on standard error."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal and faults:
        console.print(fault_table(faults))
    else:
        for fault in faults:
            echo_fault(fault)
            if fault.get("repair") is not None:
                click.echo(f"  {repair_told(fault['repair'])}", err=True)


def fault_table(faults: list[dict[str, Any]]) -> Any:
    """Code, severity, cells, area, width, sentence, and what would mend it."""
    from rich.table import Table
    from rich.text import Text

    table = Table("code", "severity", "cells", "m²", "m wide", "", "repair")
    for fault in faults:
        repair = fault.get("repair")
        mended = "" if repair is None else repair_told(repair)
        sizes = ("" if fault.get(name) is None else f"{fault[name]:g}" for name in ("area_m2", "width_m"))
        table.add_row(
            fault["code"],
            Text(fault["severity"], style=_COLOURS[fault["severity"]]),
            Text(" ".join(fault["cells"][:4]) + (" …" if len(fault["cells"]) > 4 else "")),
            *sizes,
            Text(f"{fault['sentence_zh']}\n{fault['sentence_en']}"),  # no markup: names of cells are in it
            Text(mended),
        )
    return table


def repair_told(repair: dict[str, Any]) -> str:
    """What a repair does, or has done, to which cell."""
    corners = f", {repair['vertices_inserted']} corners inserted" if repair["vertices_inserted"] else ""
    state = "made" if repair["made"] else "with --repair"
    return (
        f"{repair['method']} {repair['cell']}: {repair['area_before_m2']:g} → {repair['area_after_m2']:g} m²"
        f"{corners}, {state}"
    )


def report_writer(target: Path | None) -> Callable[[list[dict[str, Any]]], None]:
    """What writes faults to a file by the ending of its name; raises ``ClickException`` at once for another ending."""
    if target is not None and target.suffix.lower() not in {".geojson", ".json", ".csv"}:
        raise click.ClickException("The name of the report must end in .geojson or .csv.")

    def write(faults: list[dict[str, Any]]) -> None:
        if target is None:
            return
        import msgspec

        from geo.layer import Report, report_csv, report_geojson

        report = msgspec.convert({"faults": faults}, Report)
        target.write_bytes((report_csv if target.suffix.lower() == ".csv" else report_geojson)(report))
        click.echo(f"{target}: {len(faults)} faults.", err=True)

    return write


@contextmanager
def reading_bar(size: int, console: Any = None) -> Iterator[None]:
    """A bar on a terminal while a large file is read; elsewhere nothing.

    Where a running server reads the file, its steps are not heard of, and the bar only moves to and fro.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from geo.layer import Step
    from server.layer_files import TELL

    console = console or Console(stderr=True)
    if size < LARGE_BYTES or not console.is_terminal:
        yield
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading", total=None)
        steps = list(Step)

        def tell(step: Step) -> None:
            bar.update(task, description=str(step), total=len(steps), completed=steps.index(step))

        token = TELL.set(tell)
        try:
            yield
        finally:
            TELL.reset(token)
