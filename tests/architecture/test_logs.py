"""Logs tell what happened, never what was said: constant messages, few fields, no text of an exception."""

from __future__ import annotations

import ast
import json
import logging
from typing import TYPE_CHECKING

import pytest

from server.logs import JsonLines
from tests.architecture.code import calls, files, short, tree

if TYPE_CHECKING:
    from pathlib import Path

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
TELLING = {
    "body",
    "token",
    "password",
    "secret",
    "authorization",
    "cookie",
    "name",
    "phone",
    "query",
    "payload",
    "args",
}


def log_calls(module: ast.Module) -> list[ast.Call]:
    return [
        node
        for node, name in calls(module)
        if name.split(".")[0] in {"_log", "log", "logger", "logging"} and name.rsplit(".", 1)[-1] in LEVELS
    ]


def tells_too_much(call: ast.Call) -> bool:
    """A message that is put together, or a field with a telling name."""
    first = call.args[0] if call.args else None
    if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
        return True
    keys = {
        key.value
        for keyword in call.keywords
        if keyword.arg == "extra"
        for node in ast.walk(keyword.value)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    }
    return bool(keys & TELLING)


@pytest.mark.parametrize("path", [path for path in files("server") if log_calls(tree(path))], ids=short)
def test_a_log_line_has_a_constant_message_and_no_telling_field(path: Path) -> None:
    found = [call.lineno for call in log_calls(tree(path)) if tells_too_much(call)]
    assert found == []


@pytest.mark.parametrize(
    "planted",
    ['_log.info(f"pushed {body}")', "_log.info(message)", '_log.info("x", extra={"fields": {"token": t}})'],
)
def test_a_planted_telling_line_is_found(planted: str) -> None:
    assert [tells_too_much(call) for call in log_calls(ast.parse(planted))] == [True]


def test_below_the_server_nothing_is_logged_or_printed() -> None:
    found = {
        (short(path), name)
        for path in files("geo", "sync")
        for _, name in calls(tree(path))
        if name == "print" or name.startswith("logging.")
    }
    assert found == set()


def test_of_an_exception_only_its_kind_is_logged() -> None:
    error = ValueError("欧阳晓燕 13987654321")
    told = (ValueError, error, None)
    line = JsonLines().format(logging.LogRecord("wangge", logging.ERROR, __file__, 1, "job failed", (), told))
    assert json.loads(line)["exception"] == "ValueError"
    assert "欧阳" not in line
    assert "139876" not in line
