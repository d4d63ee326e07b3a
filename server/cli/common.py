"""What every command shares: options, settings, how errors are told, how a district is reached."""

import functools
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from server.settings import BadSettings, Settings, load_settings
from sync.errors import SyncError

P = ParamSpec("P")
R = TypeVar("R")
UNSAFE = 2
_SIZES = {"area_m2": "m²", "width_m": "m"}


def settings_for(purpose: str = "serve", **overrides: Any) -> Settings:
    """The settings of a command; raises ``ClickException``."""
    try:
        return load_settings(os.environ, purpose=purpose, **overrides)
    except BadSettings as error:
        raise click.ClickException(str(error)) from error


def reported(command: Callable[P, R]) -> Callable[P, R]:
    """Turn our errors into a sentence on standard error and exit code 1."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        from server.keys import KeyFileError
        from server.serve import CannotListen, DiskFailed

        try:
            return command(*args, **kwargs)
        except SyncError as error:
            for fault in error.extra.get("faults", []):
                echo_fault(fault)
            raise click.ClickException(error.detail or error.code) from error
        except (KeyFileError, CannotListen, DiskFailed) as error:
            raise click.ClickException(str(error)) from error
        except BrokenPipeError:  # whoever read along has gone, which click knows how to end
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{where}{error.strerror or error}.") from error

    return wrapped


def call_district(command: str, data: str | None, **args: Any) -> Any:
    """Run a command of ``server.commands`` here or on the server that holds the database."""
    from server.calling import call

    return call(settings_for(data=data), command, **args)


def echo_fault(fault: Any) -> None:
    """One finding, on standard error."""
    if isinstance(fault, dict):
        text = fault.get("sentence_zh") or fault.get("zh") or ""
        english = fault.get("sentence_en") or fault.get("en") or ""
        place = fault.get("where") or " ".join(fault.get("cells", []))
        sizes = "".join(
            f" {fault[name]:g} {unit}" for name, unit in _SIZES.items() if fault.get(name) is not None
        )
        severity, code = fault.get("severity", "error"), fault.get("code", "")
        click.echo(f"{severity}: {code} {place}{sizes}: {text} / {english}", err=True)
    else:
        click.echo(f"error: {fault}", err=True)


def data_option(command: Callable[P, R]) -> Callable[P, R]:
    """The option ``--data``."""
    return click.option("--data", metavar="FOLDER", help="The data folder (WANGGE_DATA, ./data).")(command)


def district_option(command: Callable[P, R]) -> Callable[P, R]:
    """The option ``--district``."""
    return click.option("--district", metavar="CODE", help="The district, where there are several.")(command)


FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
TARGET = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wangge")
def main() -> None:
    """网格: offline-first case work of community grids. Settings come from WANGGE_* and the file WANGGE_CONFIG."""
    # databases, uploads and backups are nobody else's to read
    os.umask(0o077)


def text_of(file: Path) -> str:
    """The text of a file in UTF-8 or GB18030."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        try:
            return file.read_text(encoding="gb18030")  # what spreadsheets in China write
        except UnicodeDecodeError as error:
            raise click.ClickException(f"{file} is neither UTF-8 nor GB18030.") from error


def found_later(module: str, name: str) -> Any:
    """Something of another part of the program, imported only when the command runs."""
    try:
        return getattr(import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise click.ClickException(f"This build has no {module}.{name}.") from error
