"""Logs as JSON lines, without bodies, query strings, tokens or names of people."""

import logging
import sys
from datetime import UTC, datetime

import msgspec

_encode = msgspec.json.Encoder(enc_hook=str).encode
_QUIET = ("uvicorn.access", "apscheduler", "alembic", "httpx", "litestar")


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and what the call gave in ``extra={"fields": {…}}``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; of an exception only its kind, since its text may quote data."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line.update(fields)
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
        return _encode(line).decode()


def configure_logs(level: str) -> None:
    """Send every log of this process to standard error as JSON lines."""
    # What no line tells is not looked up for each (Logging HOWTO, "Optimization").
    logging._srcfile = None  # noqa: SLF001  # the documented way
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel("WARNING")
