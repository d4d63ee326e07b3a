"""Legal erasures."""

import click

from server.cli.common import call_district, data_option, district_option, main, reported
from sync.erasing import ERASABLE, Reason


@main.group()
def erasures() -> None:
    """What has to be forgotten by law: one person asks for it, another one decides."""


@erasures.command(name="ask")
@click.argument("collection", type=click.Choice([item.name for item in ERASABLE]))
@click.argument("document", metavar="ID")
@click.option(
    "--reason", type=click.Choice(list(Reason)), required=True, help="A code; no words about a person."
)
@district_option
@data_option
@reported
def erasures_ask(collection: str, document: str, reason: str, district: str | None, data: str | None) -> None:
    """Ask for a document, and all that hangs on it, to be erased."""
    found = call_district(
        "erasures_ask", data, collection=collection, doc_id=document, reason=reason, district=district
    )
    click.echo(found)


@erasures.command(name="confirm")
@click.argument("erasure")
@district_option
@data_option
@reported
def erasures_confirm(erasure: str, district: str | None, data: str | None) -> None:
    """Erase what somebody else has asked for; ends when nothing is left in the database file either."""
    done = call_district("erasures_decide", data, erasure_id=erasure, confirm=True, district=district)
    click.echo(f"{done['documents']} documents erased.")
    if not done["swept"]:
        click.echo("The file is still being read: what is left in free pages goes with the next sweep.")


@erasures.command(name="refuse")
@click.argument("erasure")
@district_option
@data_option
@reported
def erasures_refuse(erasure: str, district: str | None, data: str | None) -> None:
    """Do not erase what somebody else has asked for."""
    call_district("erasures_decide", data, erasure_id=erasure, confirm=False, district=district)
    click.echo("Refused.")


@erasures.command(name="list")
@district_option
@data_option
@reported
def erasures_list(district: str | None, data: str | None) -> None:
    """The newest erasures: asked for, done, refused."""
    for row in call_district("erasures_list", data, district=district):
        state = f"{row['state']}{', swept' if row['state'] == 'done' and row['swept'] else ''}"
        click.echo(f"{row['id']}\t{row['collection']}\t{row['doc_id']}\t{row['reason']}\t{state}")
