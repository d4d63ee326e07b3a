"""Escalation rules and calendars."""

from datetime import UTC, datetime
from pathlib import Path

import click

from server.cli.common import (
    FILE,
    call_district,
    data_option,
    district_option,
    echo_fault,
    main,
    reported,
    text_of,
)


@main.group()
def rules() -> None:
    """Escalation rules."""


@rules.command(name="lint")
@click.argument("file", type=FILE)
@district_option
@data_option
@reported
def rules_lint(file: Path, district: str | None, data: str | None) -> None:
    """Say what is wrong with a rule set, against the district's calendars; changes nothing."""
    findings = call_district("rules_lint", data, toml=text_of(file), district=district)
    for finding in findings:
        echo_fault(finding)
    errors = sum(finding["severity"] == "error" for finding in findings)
    if errors:
        raise click.ClickException(f"{errors} errors.")
    click.echo(f"No errors, {len(findings)} warnings.")


@rules.command(name="activate")
@click.argument("file", type=FILE)
@district_option
@data_option
@reported
def rules_activate(file: Path, district: str | None, data: str | None) -> None:
    """Put a rule set in force."""
    done = call_district("rules_activate", data, toml=text_of(file), district=district)
    for finding in done["faults"]:
        echo_fault(finding)
    click.echo(f"Version {done['version']} is in force.")


@rules.command(name="dry-run")
@click.argument("file", type=FILE)
@district_option
@data_option
@reported
def rules_dry_run(file: Path, district: str | None, data: str | None) -> None:
    """Say for which open cases something else would fall due under a rule set; changes nothing."""
    found = call_district("rules_dry_run", data, toml=text_of(file), district=district)
    click.echo(
        f"{found['open_cases']} open cases, {found['changed']} with another next step: {found['earlier']} earlier, "
        f"{found['later']} later; due at once {found['due_now']} (now {found['due_now_before']})."
    )
    for case in found["cases"]:
        click.echo(f"{case['case']}\t{_instant(case['before'])}\t{_instant(case['after'])}")


def _instant(at: int | None) -> str:
    return "-" if at is None else datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="minutes")


@main.group()
def calendar() -> None:
    """Working days."""


@calendar.command(name="import")
@click.argument("file", type=FILE)
@district_option
@data_option
@reported
def calendar_import(file: Path, district: str | None, data: str | None) -> None:
    """Keep a new version of a calendar."""
    click.echo(call_district("calendar_import", data, toml=text_of(file), district=district))
