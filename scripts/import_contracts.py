"""An import-linter contract that says what a package may import, where `forbidden` says what it may not.

A list of what is forbidden has to be kept up with every new module; a list of what is allowed does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from importlinter import Contract, ContractCheck, fields, output

if TYPE_CHECKING:
    from grimp import ImportGraph


class OnlyMayImport(Contract):
    """`importer` imports, of all that is in `within`, only `allowed` (each with what lies below it)."""

    # import-linter replaces each field by its value when it reads the contract
    importer: Any = fields.StringField()
    within: Any = fields.StringField()
    allowed: Any = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002  # the base's signature
        found = [
            {"importer": module, "imported": imported}
            for module in sorted(graph.modules)
            if _is_below(module, self.importer)
            for imported in sorted(graph.find_modules_directly_imported_by(module))
            if _is_below(imported, self.within)
            and not any(_is_below(imported, allowed) for allowed in self.allowed)
        ]
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for one in check.metadata["found"]:
            output.print_error(f"{one['importer']} must not import {one['imported']}")


def _is_below(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")
