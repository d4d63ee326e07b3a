"""Simulated phones, and the contract as files."""

from pathlib import Path

import click

from server.cli.common import TARGET, found_later, main, reported


@main.group()
def phones() -> None:
    """Phones that are not there."""


@phones.command(name="simulate", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@reported
def phones_simulate(arguments: tuple[str, ...]) -> None:
    """Simulated phones against a running server; --help says more."""
    run = found_later("server.phones", "main")
    run(list(arguments))


@main.command(name="export-contract")
@click.argument("folder", type=TARGET)
@reported
def export_contract(folder: Path) -> None:
    """Write what others rely on: OpenAPI, the schemas of documents, the words and rules, the codes of errors."""
    from server.contract import contract_files

    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contract_files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        click.echo(path)
