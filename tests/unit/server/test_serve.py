"""Where the server listens, and which of its doors the command line is told."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from server import serve
from server.serve import CannotListen, open_doors
from server.settings import Settings

EVERYWHERE = "0.0.0.0"  # noqa: S104  # what a container is told
OWN = "192.0.2.7"  # stands for the machine's address in its network


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were listened on; all of them are on loopback in truth."""
    found: list[str] = []

    def listening(host: str, _: int) -> socket.socket:
        found.append(host)
        return socket.create_server(("127.0.0.1", 0))

    monkeypatch.setattr(serve, "listen_on", listening)
    return found


@pytest.mark.parametrize(
    ("values", "listened", "commands"),
    [
        ({"host": "127.0.0.1"}, ["127.0.0.1"], "http://127.0.0.1:"),
        ({"host": EVERYWHERE}, [EVERYWHERE], "http://127.0.0.1:"),
        ({"host": OWN}, [OWN, "127.0.0.1"], "http://127.0.0.1:"),
        ({"host": "::"}, ["::", "127.0.0.1"], "http://127.0.0.1:"),
        ({"host": OWN, "database_url": "postgresql://x"}, [OWN], f"http://{OWN}:"),
    ],
)
def test_commands_come_over_loopback_wherever_people_come(
    asked: list[str], values: dict[str, Any], listened: list[str], commands: str
) -> None:
    doors = open_doors(Settings(**values))
    try:
        assert asked == listened
        assert doors.commands.startswith(commands)
        assert doors.commands.endswith(f":{doors.sockets[-1].getsockname()[1]}")
        assert doors.url.endswith(f":{doors.sockets[0].getsockname()[1]}")
    finally:
        for opened in doors.sockets:
            opened.close()


def test_an_address_that_cannot_be_listened_on_is_told() -> None:
    with pytest.raises(CannotListen, match=OWN):
        open_doors(Settings(host=OWN))
