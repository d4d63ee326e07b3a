"""Mass re-assignments, and how far they are."""

import click

from server.cli.common import call_district, data_option, district_option, main, reported


@main.group()
def reassign() -> None:
    """Many documents go to other places; a running server goes on with it by itself."""


@reassign.command(name="unit")
@click.argument("source")
@click.argument("target")
@district_option
@data_option
@reported
def reassign_unit(source: str, target: str, district: str | None, data: str | None) -> None:
    """Give all cells and open cases of one unit to another."""
    number = call_district("reassign_unit", data, source=source, target=target, district=district)
    click.echo(f"Re-assignment {number}: {source} to {target}.")
    follow(data, district)


@reassign.command(name="worker")
@click.argument("source")
@click.argument("target")
@district_option
@data_option
@reported
def reassign_worker(source: str, target: str, district: str | None, data: str | None) -> None:
    """Give what one person has in hand to another."""
    number = call_district("reassign_worker", data, source=source, target=target, district=district)
    click.echo(f"Re-assignment {number}: {source} to {target}.")
    follow(data, district)


@reassign.command(name="list")
@district_option
@data_option
@reported
def reassign_list(district: str | None, data: str | None) -> None:
    """The newest re-assignments."""
    for row in call_district("reassign_list", data, district=district):
        places = f"{row['from']} to {row['to']}" if row["from"] else "the cells in force"
        done = f"{row['looked_at']} of {row['total']} looked at, {row['moved']} moved"
        click.echo(f"{row['number']}\t{row['kind']}\t{places}\t{row['state']}\t{done}")


@reassign.command(name="watch")
@district_option
@data_option
@reported
def reassign_watch(district: str | None, data: str | None) -> None:
    """Go on with what is under way, to its end."""
    follow(data, district)


def follow(data: str | None, district: str | None) -> None:
    """Go on until nothing is under way, with a bar; a command that is broken off has lost nothing."""
    row = call_district("reassign_step", data, district=district)
    while row is not None:
        number, before = row["number"], 0
        with click.progressbar(length=row["total"], label=f"Re-assignment {number}") as bar:
            while row is not None and row["number"] == number:
                bar.update(row["looked_at"] - before)
                before = row["looked_at"]
                row = call_district("reassign_step", data, district=district)
            bar.update(bar.length - before if bar.length else 0)
    click.echo("Everything lies where it belongs.")
