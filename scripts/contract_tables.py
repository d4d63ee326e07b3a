"""Writes the tables of docs/contract.md that are read off the program: routes, codes of errors, settings, commands.

``python -m scripts.contract_tables`` rewrites them; ``tests/unit/test_docs.py`` fails where they are out of date.
"""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from litestar.routes import HTTPRoute

import server
import sync
from server.app import create_app
from server.cli import main as command_line
from server.errors import all_codes
from server.settings import PREFIX, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = ROOT / "docs" / "contract.md"
_BLOCK = r"(?<=<!-- {name}: written by scripts/contract_tables.py -->\n).*?(?=<!-- end -->)"
# What a program never asks for and a reader need not see.
_FRAMEWORK = frozenset({"HEAD", "OPTIONS"})
_FRAMEWORK_PATHS = frozenset({"/schema", "/schema/{path:str}"})


def import_everything() -> None:
    """Import every module, since an error class is known once its module is."""
    for package in (sync, server):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations." not in found.name and not found.name.endswith(".__main__"):
                import_module(found.name)


def routes() -> list[tuple[str, str, str, str]]:
    """(path, method, who may call it, first line of what it says of itself), by path."""
    found = []
    for route in create_app(Settings(purpose="test"), jobs=[]).routes:
        if not isinstance(route, HTTPRoute) or route.path in _FRAMEWORK_PATHS:
            continue
        for handler in route.route_handlers:
            told = (handler.fn.__doc__ or handler.description or "").strip().splitlines()
            for method in sorted(set(map(str, handler.http_methods)) - _FRAMEWORK):
                path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
                who = str(handler.opt.get("access", "")).replace(",", ", ")  # so that a long list can wrap
                found.append((path, method, who, _said_of(path) or (told[0] if told else "")))
    return sorted(found)


def _said_of(path: str) -> str:
    """What a route of the framework cannot say of itself."""
    return "Every route, as OpenAPI." if path == "/schema/openapi.json" else ""


def commands() -> list[tuple[str, str]]:
    """(command, first line of its help), in the order of the help."""

    def below(group: click.Group, name: str) -> Iterator[tuple[str, str]]:
        for key, command in group.commands.items():
            full = f"{name} {key}"
            if isinstance(command, click.Group):
                yield from below(command, full)
            else:
                yield full, (command.help or "").strip().splitlines()[0]

    return list(below(command_line, "wangge"))


def settings() -> list[tuple[str, str]]:
    """(variable, its default), in the order of the class; `purpose` is no setting."""
    fields = zip(Settings.__struct_fields__, Settings.__struct_defaults__, strict=True)
    return [(PREFIX + name.upper(), _shown(default)) for name, default in fields if name != "purpose"]


def _shown(default: Any) -> str:
    if default is False:
        return "`false`"
    return f"`{default}`" if default not in ("", ()) else ""


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)


def tables() -> dict[str, str]:
    """Every table by the name of its block."""
    import_everything()
    codes = [
        (f"`{code}`", str(text.status), text.en, text.zh if text.zh != text.en else "")
        for code, text in all_codes().items()
    ]
    return {
        "routes": _table(
            ("route", "who", "what"),
            [(f"`{method} {path}`", f"`{who}`", what) for path, method, who, what in routes()],
        ),
        "codes": _table(("code", "status", "means", "told to users"), codes),
        "settings": _table(("variable", "default"), [(f"`{name}`", shown) for name, shown in settings()]),
        "commands": _table(("command", "does"), [(f"`{name}`", what) for name, what in commands()]),
    }


def written(text: str) -> str:
    """The document with its tables as the program is now."""
    for name, table in tables().items():
        found = re.search(_BLOCK.format(name=name), text, re.DOTALL)
        if found is None:
            raise ValueError(f"{CONTRACT.name} has no block {name!r}")
        begin, end = found.span()
        text = text[:begin] + table + text[end:]
    return text


if __name__ == "__main__":
    CONTRACT.write_text(written(CONTRACT.read_text(encoding="utf-8")), encoding="utf-8")
