"""server -> sync -> geo, and a domain that knows nothing of storage: contracts of imports, and that they would bite."""

from __future__ import annotations

import tomllib
from functools import cache
from typing import Any

import grimp
import pytest
from importlinter import cli

from scripts.import_contracts import OnlyMayImport
from tests.architecture.code import ROOT, files, imported, short, tree


@cache
def _built() -> Any:
    return grimp.build_graph("geo", "sync", "server", include_external_packages=True, cache_dir=None)


def test_the_contracts_of_imports_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert cli.lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def _forbidden(graph: Any, importer: str, wanted: str) -> bool:
    return bool(graph.find_shortest_chains(importer=importer, imported=wanted, as_packages=True))


@pytest.mark.parametrize(("lower", "upper"), [("geo", "sync"), ("geo", "server"), ("sync", "server")])
def test_nothing_points_up_the_arrow(lower: str, upper: str) -> None:
    graph = _built()
    assert not _forbidden(graph, lower, upper)
    planted = next(name for name in sorted(graph.modules) if name.startswith(f"{lower}."))
    target = next(name for name in sorted(graph.modules) if name.startswith(f"{upper}."))
    if not graph.direct_import_exists(importer=planted, imported=target):
        graph.add_import(importer=planted, imported=target)
        assert _forbidden(graph, lower, upper)
        graph.remove_import(importer=planted, imported=target)


def test_a_domain_that_looks_at_storage_breaks_its_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    written = next(contract for contract in contracts if contract["id"] == "domain")
    contract = OnlyMayImport(name="domain", session_options={}, contract_options=written)
    graph = _built()
    assert contract.check(graph, verbose=False).kept
    for storage in ("sync.sql_store", "sync.pull", "sync.tables"):
        graph.add_import(importer="sync.cases.lifecycle", imported=storage)
        assert not contract.check(graph, verbose=False).kept
        graph.remove_import(importer="sync.cases.lifecycle", imported=storage)


def test_the_standard_librarys_sqlite_is_used_nowhere() -> None:
    """Its version is the machine's: it may be one that damages a database in WAL mode."""
    found = {
        (short(path), name)
        for path in files("geo", "sync", "server", "scripts", "bench")
        for _, name in imported(tree(path))
        if name.split(".")[0] in {"sqlite3", "aiosqlite"}
    }
    assert found == set()
