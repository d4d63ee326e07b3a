"""Units, and layers of grid cells."""

import base64
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from server.cli.common import (
    FILE,
    TARGET,
    P,
    R,
    call_district,
    data_option,
    district_option,
    main,
    reported,
    text_of,
)
from server.cli.faults import reading_bar, report_writer, show_faults
from server.cli.reassign import follow
from sync.errors import SyncError

# By what a target is called, what is written; the values of `geo.layer.Form`, which is imported only when it is needed.
_ENDINGS = {"geojson": {".geojson", ".json"}, "shapefile": {".zip"}, "kml": {".kml"}}


@main.group()
def units() -> None:
    """Organisations."""


@units.command(name="import")
@click.argument("file", type=FILE)
@district_option
@data_option
@reported
def units_import(file: Path, district: str | None, data: str | None) -> None:
    """Add or change units from CSV with the columns code, type, name, area, level, parent."""
    changed = call_district("units_import", data, csv_text=text_of(file), district=district)
    click.echo(f"{changed} units added or changed.")


@main.group()
def cells() -> None:
    """Layers of grid cells."""


def _reads_layer(command: Callable[P, R]) -> Callable[P, R]:
    for option in reversed(
        (
            click.option(
                "--crs",
                help="wgs84, cgcs2000, gcj02, bd09, EPSG:4547, or a .toml or .json with a city's table.",
            ),
            click.option("--fields", type=FILE, help="JSON: which property means code, name, kind, parents."),
            click.option("--encoding", help="gb18030 (GBK), utf-8 …, where a shapefile has no .cpg."),
            click.option("--repair", is_flag=True, help="Mend what can safely be, and say what was done."),
            click.option("--report", type=TARGET, help="Write the faults to a file: .geojson or .csv."),
            click.option(
                "--elsewhere",
                is_flag=True,
                help="The edition in force lies in a wrong place: do not compare with it.",
            ),
        )
    ):
        command = option(command)
    return command


def _fields(file: Path | None) -> dict[str, Any] | None:
    from server.strict_json import parse

    if file is None:
        return None
    try:
        found = parse(file.read_bytes())
    except SyncError as error:
        raise click.ClickException(f"{file}: {error.code}") from error
    if not isinstance(found, dict):
        raise click.ClickException(f"{file} is not one JSON object.")
    return found


def _system(crs: str | None) -> str | dict[str, Any] | None:
    """What was declared: a word or a code as it stands, the table in a file that is named."""
    if crs is None or not crs.lower().endswith((".json", ".toml")):
        return crs
    if crs.lower().endswith(".json"):
        return _fields(Path(crs))
    try:
        return tomllib.loads(text_of(Path(crs)))
    except tomllib.TOMLDecodeError as error:
        raise click.ClickException(f"{crs}: {error}") from error


@cells.command(name="check")
@click.argument("file", type=FILE)
@_reads_layer
@click.option("--district", metavar="CODE", help="Look at it beside the layer in force in this district.")
@data_option
@reported
def cells_check(
    file: Path,
    crs: str | None,
    fields: Path | None,
    encoding: str | None,
    repair: bool,
    report: Path | None,
    elsewhere: bool,
    district: str | None,
    data: str | None,
) -> None:
    """Say what is wrong with a file of cells (GeoJSON, shapefile in a zip, KML, KMZ); changes nothing."""
    from server.commands import read_layer, told_of

    write_report = report_writer(report)
    content, mapped, declared = file.read_bytes(), _fields(fields), _system(crs)
    found: dict[str, Any]
    with reading_bar(len(content)):
        if district is not None:
            found = call_district(
                "cells_check",
                data,
                content=base64.b64encode(content).decode(),
                crs=declared,
                fields=mapped,
                encoding=encoding,
                repair=repair,
                elsewhere=elsewhere,
                district=district,
            )
        else:  # by itself, where there need be no district
            found = told_of(*read_layer(content, declared, mapped, encoding=encoding, repair=repair))
    show_faults(found["faults"])
    write_report(found["faults"])
    counts = Counter(fault["severity"] for fault in found["faults"])
    if counts["error"]:
        raise click.ClickException(f"{counts['error']} errors, {counts['warning']} warnings.")
    click.echo(f"{found['cells']} cells in {found['areas']} areas, {counts['warning']} warnings.")


@cells.command(name="import")
@click.argument("file", type=FILE)
@_reads_layer
@click.option("--activate", is_flag=True, help="Put it in force at once.")
@district_option
@data_option
@reported
def cells_import(
    file: Path,
    crs: str | None,
    fields: Path | None,
    encoding: str | None,
    repair: bool,
    report: Path | None,
    elsewhere: bool,
    activate: bool,
    district: str | None,
    data: str | None,
) -> None:
    """Keep a layer as a draft generation."""
    write_report = report_writer(report)
    content = file.read_bytes()
    try:
        with reading_bar(len(content)):
            done = call_district(
                "cells_import",
                data,
                content=base64.b64encode(content).decode(),
                crs=_system(crs),
                fields=_fields(fields),
                encoding=encoding,
                repair=repair,
                elsewhere=elsewhere,
                district=district,
            )
    except SyncError as error:
        if "faults" in error.extra:
            show_faults(error.extra["faults"])
            write_report(error.extra["faults"])
        raise click.ClickException(error.detail or error.code) from error
    show_faults(done["faults"])
    write_report(done["faults"])
    click.echo(f"Generation {done['generation']}: {done['cells']} cells in {done['areas']} areas.")
    if activate:
        call_district("cells_activate", data, generation=done["generation"], district=district)
        click.echo("It is in force.")
        follow(data, district)


@cells.command(name="export")
@click.argument("generation", type=click.IntRange(0, 2**31 - 1))
@click.argument("target", type=TARGET)
@click.option(
    "--format", "form", type=click.Choice(list(_ENDINGS)), help="Where the name of the target does not tell."
)
@district_option
@data_option
@reported
def cells_export(
    generation: int, target: Path, form: str | None, district: str | None, data: str | None
) -> None:
    """Write a generation to a file in WGS-84: GeoJSON, a shapefile in a zip (.zip), or KML."""
    form = form or next((name for name, ends in _ENDINGS.items() if target.suffix.lower() in ends), None)
    if form is None:
        raise click.ClickException("The name of the target must end in .geojson, .zip or .kml.")
    found = call_district("cells_export", data, generation=generation, form=form, district=district)
    target.write_bytes(base64.b64decode(found))
    click.echo(f"{target}: generation {generation} as {form}.")


@cells.command(name="scheme")
@click.argument("scheme", required=False)
@district_option
@data_option
@reported
def cells_scheme(scheme: str | None, district: str | None, data: str | None) -> None:
    """Show how the district's codes are made up, or set it: grid15, cjt349, or a JSON file with a table."""
    given: Any = scheme
    if scheme is not None and scheme.endswith(".json"):
        given = _fields(Path(scheme))
    found = call_district("cells_scheme", data, scheme=given, district=district)["scheme"]
    if found is None:
        click.echo("None is set: a code goes by whichever known scheme it fits.")
        return
    parts = ", ".join(f"{part['name']} {part['digits']}" for part in found["parts"])
    click.echo(f"{found['name']}: {found['total']} digits: {parts}.")


@cells.command(name="activate")
@click.argument("generation", type=click.IntRange(0, 2**31 - 1))
@district_option
@data_option
@reported
def cells_activate(generation: int, district: str | None, data: str | None) -> None:
    """Put a generation in force."""
    call_district("cells_activate", data, generation=generation, district=district)
    click.echo(f"Generation {generation} is in force.")
    follow(data, district)


@cells.command(name="preview")
@click.argument("generation", type=click.IntRange(0, 2**31 - 1))
@district_option
@data_option
@reported
def cells_preview(generation: int, district: str | None, data: str | None) -> None:
    """Say what a generation would move, and between which cells, and whose phones it concerns; changes nothing."""
    found = call_district("cells_preview", data, generation=generation, district=district)
    click.echo(
        f"Generation {found['generation']}: {found['moved']} of {found['open_cases']} open cases move; "
        f"{found['set_by_person']} were placed by a person, {found['needs_confirmation']} would need confirmation."
    )
    phones = found["phones"]
    click.echo(
        f"{found['households']} households, {found['visits']} visits and {found['closed_cases']} closed cases move. "
        f"{phones['devices']} phones are concerned: {phones['documents_in']} documents in, "
        f"{phones['documents_out']} out, about {phones['bytes'] // 1024} KiB; "
        f"{phones['devices_with_unsent']} of them hold {phones['unsent']} unsent captures."
    )
    for change in found["changes"]:
        click.echo(f"{change['fate']}\t{','.join(change['before'])}\t{','.join(change['after'])}")
    if found["cells_without_worker"]:
        click.echo(f"Without a worker: {', '.join(found['cells_without_worker'])}")
    for move in found["moves"]:
        click.echo(f"{move['from']}\t{move['to']}\t{move['cases']}")


@cells.command(name="thresholds")
@click.option("--auto", type=float, help="Probability from which on nobody is asked (0.8).")
@click.option("--flag", type=float, help="Probability below which no cell is chosen (0.5).")
@click.option(
    "--radius", "radius_m", type=float, help="Radius of 68 per cent beyond which none is, in m (100)."
)
@click.option("--tolerance", "tolerance_m", type=float, help="How far outside a point may lie, in m (50).")
@district_option
@data_option
@reported
def cells_thresholds(district: str | None, data: str | None, **values: float | None) -> None:
    """Show, or change, what is sure enough for a cell; moves no case that is here."""
    changes = {name: value for name, value in values.items() if value is not None}
    for name, value in call_district("cells_thresholds", data, changes=changes, district=district).items():
        click.echo(f"{name}\t{value:g}")


@cells.command(name="list")
@district_option
@data_option
@reported
def cells_list(district: str | None, data: str | None) -> None:
    """Every generation."""
    for row in call_district("cells_list", data, district=district):
        click.echo(f"{row['number']}\t{row['state']}\t{row['name']}")


@cells.command(name="provider")
@click.argument("provider", type=click.Choice(["mainland_hk_mo", "mainland"]))
@district_option
@data_option
@reported
def cells_provider(provider: str, district: str | None, data: str | None) -> None:
    """Whose maps coordinates in GCJ-02 come from: whether Hong Kong and Macau are shifted on them too."""
    call_district("cells_provider", data, provider=provider, district=district)
    click.echo(f"Coordinates in GCJ-02 are read as of a provider that shifts: {provider}.")
