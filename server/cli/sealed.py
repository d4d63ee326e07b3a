"""Sealed bundles that somebody brings as a file, and receipts."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from server.cli.common import FILE, call_district, data_option, district_option, main, reported

_MARK = '"wangge_sealed"'
_AT_ONCE = 200


@main.group()
def sealed() -> None:
    """What phones captured while they could not read."""


@sealed.command(name="hand-in")
@click.argument("file", type=FILE)
@district_option
@data_option
@reported
def hand_in(file: Path, district: str | None, data: str | None) -> None:
    """Take in a file of sealed bundles, one a line; what cannot be opened is kept for the centre."""
    bundles = [line for line in file.read_bytes().decode("utf-8", "replace").split("\n") if line.strip()]
    if not any(_MARK in line for line in bundles):
        raise click.ClickException(f"There is no sealed bundle in {file}.")
    taken = 0
    for start in range(0, len(bundles), _AT_ONCE):
        part = bundles[start : start + _AT_ONCE]
        taken += call_district("sealed_hand_in", data, bundles=part, district=district)
    click.echo(f"{taken} bundles taken.")


@sealed.command(name="rotate-key")
@district_option
@data_option
@reported
def rotate_key(district: str | None, data: str | None) -> None:
    """Give phones a new key to seal to; what was sealed to earlier ones opens as before."""
    click.echo(
        f"Phones seal to the key {call_district('sealed_rotate', data, district=district)} from now on."
    )


@main.command(name="verify-receipt")
@click.argument("file", type=FILE)
@click.option("--public-key", metavar="KEY", help="Check against this key alone, asking no district.")
@district_option
@data_option
@reported
def verify_receipt(file: Path, public_key: str | None, district: str | None, data: str | None) -> None:
    """Say whether a receipt is genuine, what it vouches for, and whether that is still here."""
    try:
        told = msgspec.json.decode(file.read_bytes())
    except ValueError as error:
        raise click.ClickException(f"{file} is no receipt.") from error
    if public_key is not None:
        click.echo(_said(msgspec.to_builtins(_checked(told, public_key))))
        return
    found = call_district("verify_receipt", data, receipt=told, district=district)
    click.echo(_said(found["receipt"]))
    if found["epoch"] != found["receipt"]["epoch"]:
        click.echo(
            f"Since then the district was restored to number {found['restored_to']}; it is in epoch {found['epoch']}."
        )
    for w in found["missing"]:
        click.echo(f"not here: {w}", err=True)
    if found["missing"]:
        raise click.ClickException("The receipt is genuine, but not all that it vouches for is here.")


def _checked(told: Any, public_key: str) -> Any:
    from server.receipts import checked
    from sync.sealed import from_base64url

    return checked(told, from_base64url(public_key) or b"")


def _said(receipt: Any) -> str:
    at = datetime.fromtimestamp(receipt["at"] / 1000, UTC).isoformat(timespec="seconds")
    lines = [
        f"Genuine: district {receipt['district']}, author {receipt['author']}, device {receipt['device']}.",
        f"Made {at} in epoch {receipt['epoch']}, at number {receipt['head']}.",
    ]
    lines += [
        f"{line['state']}\t{line['w']}\t{line['collection']}\t{line['id']}\tnumber {line['n']}"
        for line in receipt["writes"]
    ]
    return "\n".join(lines)
