"""The server process of a benchmark: the program's own application under uvicorn, as `wangge serve` runs it."""

import os
import sys

import uvicorn

from server.app import create_app
from server.logs import configure_logs
from server.settings import load_settings


def main() -> None:
    """Serve what ``WANGGE_*`` names until told to stop."""
    settings = load_settings(os.environ, purpose="serve")
    configure_logs(settings.log_level)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http="httptools",
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
