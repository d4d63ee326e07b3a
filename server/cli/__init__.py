"""The command ``wangge``. Each command ends with 0 when it did what it says, 1 when it could not, 2 on bad use."""

from server.cli import (
    addresses,
    erasures,
    installation,
    layers,
    others,
    people,
    reassign,
    rules,
    sealed,
    serving,
)
from server.cli.common import main

__all__ = [
    "addresses",
    "erasures",
    "installation",
    "layers",
    "main",
    "others",
    "people",
    "reassign",
    "rules",
    "sealed",
    "serving",
]
