"""`python -m server.cli` is `wangge`."""

from server.cli import main

main()
