"""Making, migrating, saving, restoring and checking districts."""

from pathlib import Path

import click

from server.cli.common import (
    FILE,
    TARGET,
    call_district,
    data_option,
    district_option,
    echo_fault,
    main,
    reported,
    settings_for,
)


@main.command()
@click.argument("code")
@click.argument("name")
@click.option("--short-name", default="", help="For headings; the name where left out.")
@click.option(
    "--test", is_flag=True, help="A district for tests: for this machine only, and its clock may be moved."
)
@data_option
@reported
def init(code: str, name: str, short_name: str, test: bool, data: str | None) -> None:
    """Make a district: keys, directory, database. CODE is the division's code, 6 digits for a county."""
    from server.runtime import initialise

    settings = settings_for(data=data)
    entry = initialise(settings, code, name, short_name, test=test)
    click.echo(f"District {entry.code} {entry.name} is ready in {settings.data}.")
    click.echo(
        f"Keep a copy of {settings.keys_folder} apart from the backups: without it they cannot be read."
    )


@main.command()
@click.option("--all", "every", is_flag=True, help="Every district, one after another.")
@click.argument("codes", nargs=-1)
@data_option
@reported
def migrate(every: bool, codes: tuple[str, ...], data: str | None) -> None:
    """Bring the directory and districts to this program's version; no server may run on SQLite."""
    from server.database import Database

    database = Database(settings_for(data=data))
    try:
        if not database.exists:
            raise click.ClickException("There is nothing here yet: run `wangge init`.")
        if not every and not codes:
            raise click.UsageError("Name districts, or use --all.")
        with database.lock():
            database.migrate_directory()
            chosen = [entry.code for entry in database.districts()] if every else list(codes)
            for code in chosen:
                database.district(code)
                click.echo(f"{code}: {database.migrate_district(code)}")
    finally:
        database.close()


@main.command(name="backup")
@click.argument("target", type=TARGET)
@click.option(
    "--with-keys", is_flag=True, help="Put the keys in: the file then tells everything to who has it."
)
@data_option
@reported
def backup_command(target: Path, with_keys: bool, data: str | None) -> None:
    """Write a backup of every district to the zip file TARGET, while a server runs or not."""
    from importlib.metadata import version

    from server import backup

    manifest = backup.backup(
        settings_for(data=data), target, program=version("wangge"), with_keys=with_keys, progress=_progress
    )
    click.echo(f"{target}: {target.stat().st_size:,} bytes\n{backup.summary(manifest)}", nl=False)
    if not with_keys:
        click.echo("Without the keys: keep a copy of the folder of keys elsewhere.")


@main.command(name="restore")
@click.argument("source", type=FILE)
@click.option("--force", is_flag=True, help="Replace what is there; it is kept beside under a new name.")
@click.option("--erased", type=FILE, help="The list of erasures of the installation that made the backup.")
@data_option
@reported
def restore_command(source: Path, force: bool, erased: Path | None, data: str | None) -> None:
    """Put a backup back and open a new epoch, so that phones hand in again what it does not hold."""
    from server.restore import restore

    epochs = restore(settings_for(data=data), source, force=force, erased=erased, progress=_progress)
    for code, epoch in epochs.items():
        click.echo(f"{code}: restored, epoch {epoch}")


def _progress(what: str) -> None:
    click.echo(f"  {what} …", err=True)


@main.command(name="verify")
@district_option
@click.option("--all-files", is_flag=True, help="Read the bytes of every file, not only of the newest 500.")
@click.option(
    "--ask-again", is_flag=True, help="Files whose bytes are lost are asked for again from the phones."
)
@data_option
@reported
def verify_command(district: str | None, all_files: bool, ask_again: bool, data: str | None) -> None:
    """Check the database, the references, the clock, the audit chain, the keys and the files of each district."""
    bad = False
    for report in call_district("verify", data, district=district, all_files=all_files, ask_again=ask_again):
        if report["documents"] is None:
            click.echo(f"{report['district']}: cannot be read")
        else:
            click.echo(
                f"{report['district']}: number {report['head']}, epoch {report['epoch']}, "
                f"{report['documents']} documents, {report['files'] or 0} files, "
                f"{report['audit_records']} audit records, "
                f"chain ends {report['audit_last'] or '-'}"
            )
        for fault in report["faults"]:
            bad = True
            echo_fault(fault)
    if bad:
        raise click.ClickException("The database has faults.")
