"""The district's own list of addresses."""

from pathlib import Path

import click

from server.cli.common import FILE, call_district, data_option, district_option, main, reported


@main.group()
def addresses() -> None:
    """The district's own list of addresses."""


@addresses.command(name="import")
@click.argument("file", type=FILE)
@click.option("--crs", help="wgs84, cgcs2000, gcj02 or bd09, where a line does not say.")
@click.option("--encoding", help="utf-8, gbk or gb18030; else it is found out.")
@click.option("--source", help="Where the list is from, where a line does not say.")
@district_option
@data_option
@reported
def addresses_import(
    file: Path,
    crs: str | None,
    encoding: str | None,
    source: str | None,
    district: str | None,
    data: str | None,
) -> None:
    """Add or change addresses from CSV with the columns text, lon, lat, and kind, crs, source."""
    from server.address_file import text_of

    csv_text = text_of(file.read_bytes(), encoding).removeprefix("\ufeff")
    done = call_district(
        "addresses_import", data, csv_text=csv_text, crs=crs, source=source, district=district
    )
    for line in done["lines"]:
        click.echo(f"{file}:{line['line']}: {line['code']}: {line['sentence']}", err=True)
    sums = f"{done['added']} added, {done['changed']} changed, {done['unchanged']} unchanged"
    if done["refused"]:
        raise click.ClickException(f"{sums}; {done['refused']} lines refused.")
    click.echo(f"{sums}.")
