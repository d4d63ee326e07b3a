"""The server process of a benchmark: exactly what `wangge serve` runs."""

import os

from server.serve import run_server
from server.settings import load_settings


def main() -> None:
    """Serve what ``WANGGE_*`` names until told to stop."""
    run_server(load_settings(os.environ, purpose="serve"))


if __name__ == "__main__":
    main()
