"""`wangge serve` and `wangge demo`."""

import sys
from collections.abc import Sequence

import click
import msgspec

from server.cli.common import UNSAFE, data_option, found_later, main, reported, settings_for
from server.settings import refusals

_CLOCK_HELP = "File that shifts the time of cases (WANGGE_CLOCK_FILE); for demo and test districts only."


@main.command()
@click.option("--host", help="Address to listen on (WANGGE_HOST, 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (WANGGE_PORT, 8000).")
@click.option("--clock-file", help=_CLOCK_HELP)
@data_option
@reported
def serve(host: str | None, port: int | None, clock_file: str | None, data: str | None) -> None:
    """Serve for real use; refuses an unsafe configuration, saying why."""
    from server.database import Database
    from server.runtime import NotInitialised
    from server.serve import run_server

    settings = settings_for(host=host, port=port, data=data, clock_file=clock_file)
    _end_if(refusals(settings))
    database = Database(settings)
    try:
        if not database.exists:
            raise NotInitialised
        with database.lock():  # whoever has it finishes a restore that was interrupted
            entries = database.districts()
    finally:
        database.close()
    _end_if(refusals(settings, {entry.code: entry.kind for entry in entries if entry.state == "active"}))
    run_server(settings, on_ready=lambda url: click.echo(f"wangge is serving at {url}"))


def _end_if(reasons: Sequence[str]) -> None:
    for reason in reasons:
        click.echo(f"refused: {reason}", err=True)
    if reasons:
        sys.exit(UNSAFE)


@main.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (WANGGE_PORT, 8000).")
@click.option("--prepare-only", is_flag=True, help="Prepare the demo district and end.")
@click.option("--clock-file", help=f"{_CLOCK_HELP} clock.json in the data folder where left out.")
@data_option
@reported
def demo(port: int | None, prepare_only: bool, clock_file: str | None, data: str | None) -> None:
    """Prepare the demo district where there is none, then serve it on this machine."""
    from server.serve import run_server

    settings = settings_for("demo", port=port, data=data, clock_file=clock_file)
    settings = msgspec.structs.replace(
        settings, host="127.0.0.1", clock_file=settings.clock_file or str(settings.folder / "clock.json")
    )
    prepare = found_later("server.demo.prepare", "prepare")
    prepare(settings)
    _end_if(refusals(settings))
    if prepare_only:
        click.echo(f"The demo district is ready in {settings.data}.")
        return
    welcome = found_later("server.demo.prepare", "welcome")
    run_server(settings, on_ready=lambda url: click.echo(welcome(settings, url)))
