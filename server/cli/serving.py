"""`wangge serve` and `wangge demo`."""

import sys

import click
import msgspec

from server.cli.common import UNSAFE, data_option, found_later, main, reported, settings_for
from server.settings import refusals


@main.command()
@click.option("--host", help="Address to listen on (WANGGE_HOST, 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (WANGGE_PORT, 8000).")
@click.option(
    "--clock-file", help="Refused here: only demo and test districts have a clock that can be moved."
)
@data_option
@reported
def serve(host: str | None, port: int | None, clock_file: str | None, data: str | None) -> None:
    """Serve for real use; refuses an unsafe configuration, saying why."""
    from server.database import Database
    from server.runtime import NotInitialised
    from server.serve import run_server

    settings = settings_for(host=host, port=port, data=data, clock_file=clock_file)
    reasons = refusals(settings)
    if not reasons:
        database = Database(settings)
        try:
            if not database.exists:
                raise NotInitialised
            entries = database.districts()
        finally:
            database.close()
        reasons = refusals(settings, demo_districts=[entry.code for entry in entries if entry.demo])
    if reasons:
        for reason in reasons:
            click.echo(f"refused: {reason}", err=True)
        sys.exit(UNSAFE)
    run_server(settings, on_ready=lambda url: click.echo(f"wangge is serving at {url}"))


@main.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (WANGGE_PORT, 8000).")
@click.option("--prepare-only", is_flag=True, help="Prepare the demo district and end.")
@data_option
@reported
def demo(port: int | None, prepare_only: bool, data: str | None) -> None:
    """Prepare the demo district where there is none, then serve it on this machine."""
    from server.serve import run_server

    settings = settings_for("demo", port=port, data=data)
    settings = msgspec.structs.replace(
        settings, host="127.0.0.1", clock_file=settings.clock_file or str(settings.folder / "clock.json")
    )
    prepare = found_later("server.demo.prepare", "prepare")
    prepare(settings)
    reasons = refusals(settings)
    if reasons:
        for reason in reasons:
            click.echo(f"refused: {reason}", err=True)
        sys.exit(UNSAFE)
    if prepare_only:
        click.echo(f"The demo district is ready in {settings.data}.")
        return
    welcome = found_later("server.demo.prepare", "welcome")
    run_server(settings, on_ready=lambda url: click.echo(welcome(settings, url)))
