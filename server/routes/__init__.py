"""The routes, a module a subject. A module lists its handlers as ``HANDLERS``; its name is added to ``MODULES``."""

from importlib import import_module
from typing import Any

MODULES = [
    "server.routes.health",
    "server.routes.sessions",
    "server.routes.devices",
    "server.routes.sync",
    "server.routes.sealed",
    "server.routes.stream",
    "server.routes.files",
    "server.routes.commands",
    "server.routes.console",
    "server.routes.escalations",
    "server.routes.cells",
    "server.routes.places",
    "server.routes.ledger",
    "server.routes.reassignments",
    "server.routes.quarantine",
    "server.routes.audit",
    "server.routes.erasures",
    "server.routes.public",
    "server.routes.demo",
    "server.routes.pages",
]


def all_handlers() -> list[Any]:
    """The handlers of every module, in the order of ``MODULES``."""
    return [handler for name in MODULES for handler in import_module(name).HANDLERS]
