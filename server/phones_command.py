"""The command ``wangge phones simulate``."""

import asyncio
import json
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from server.phones import Account, Summary, simulate

_ROLES = frozenset({"grid_worker", "grid_leader"})
_SHOWN = 5  # of each thing that went wrong


@click.command("simulate", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="The running server.")
@click.option(
    "--accounts",
    "accounts_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=Path("data/demo-accounts.json"),
    show_default=True,
    help="JSON list of {username, password, role, …}; grid workers and grid leaders of it are used.",
)
@click.option(
    "--phones", "count", type=click.IntRange(1, 5000), default=20, show_default=True, help="How many phones."
)
@click.option(
    "--rounds", type=click.IntRange(1, 10_000), default=10, show_default=True, help="Rounds per phone."
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed plays the same day.")
@click.option(
    "--loss",
    type=click.FloatRange(0, 0.9),
    default=0.1,
    show_default=True,
    help="Share of requests that get lost, half of them on the way back.",
)
@click.option(
    "--pause",
    type=click.FloatRange(0, 3600),
    default=0.5,
    show_default=True,
    help="Longest time out of reach per round, in seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def simulate_command(
    url: str,
    accounts_file: Path,
    count: int,
    rounds: int,
    seed: int,
    loss: float,
    pause: float,
    *,
    as_json: bool,
) -> None:
    """Play phones against a running server and see whether anything is lost.

    Ends with 1 if something acknowledged is missing, something stands twice, or a phone and the server differ.
    """
    accounts = read_accounts(accounts_file)
    console = Console(stderr=as_json)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
    with bar:
        steps = {
            "round": bar.add_task("rounds", total=count * rounds),
            "heal": bar.add_task("coming into step", total=count),
            "check": bar.add_task("looking for everything", total=count),
        }
        summary = asyncio.run(
            simulate(
                url.rstrip("/"),
                accounts,
                phones=count,
                rounds=rounds,
                seed=seed,
                loss=loss,
                pause=pause,
                tell=lambda step: bar.advance(steps[step]),
            )
        )
    if as_json:
        click.echo(
            json.dumps({**msgspec.to_builtins(summary), "ok": summary.ok}, ensure_ascii=False, indent=1)
        )
    else:
        _show(console, summary)
    if not summary.ok:
        raise SystemExit(1)


def read_accounts(path: Path) -> list[Account]:
    """The accounts of grid workers and leaders in a file; those without a role count too.

    Raises ``click.ClickException`` when it holds none.
    """
    try:
        listed = msgspec.json.decode(path.read_bytes(), type=list[Account])
    except (msgspec.DecodeError, OSError) as error:
        raise click.ClickException(f"{path} is no list of accounts: {error}") from error
    found = [account for account in listed if not account.role or account.role in _ROLES]
    if not found:
        raise click.ClickException(f"{path} names no grid worker and no grid leader.")
    return found


def _show(console: Console, summary: Summary) -> None:
    table = Table("request", "count", "p50 ms", "p95 ms", "p99 ms", "worst ms", title="Answers of the server")
    for kind, latency in summary.latencies.items():
        figures = (latency.p50, latency.p95, latency.p99, latency.worst)
        table.add_row(kind, str(latency.count), *(f"{figure:.1f}" for figure in figures))
    console.print(table)
    captured = ", ".join(f"{count} {name}" for name, count in summary.captured.items())
    told = Table.grid(padding=(0, 2))
    told.add_row("phones", f"{summary.phones} in {summary.seconds:.1f} s")
    told.add_row("captured", f"{captured}; {summary.acknowledged} acknowledged; {summary.edits} edits")
    told.add_row("lost on the line", f"{summary.lost_requests} requests, {summary.lost_replies} replies")
    told.add_row("sent again", f"{summary.repeated} writes")
    told.add_row("adopted", f"{summary.adopted} documents that the server had otherwise")
    told.add_row("left the scope", f"{summary.evicted} captures")
    told.add_row("pokes, waits", f"{summary.pokes}, {summary.waits}")
    console.print(told)
    for name, lines in summary.wrong.items():
        console.print(f"[bold red]{name}: {len(lines)}[/]")
        for line in lines[:_SHOWN]:
            console.print(f"  {line}", markup=False)
    if summary.ok:
        console.print(
            "[bold green]Nothing is lost, nothing stands twice, every phone agrees with the server.[/]"
        )
