"""Run seeds by hand: ``python -m tests.simulation FIRST AFTER_LAST [town]``; tells the first history that fails."""

from __future__ import annotations

import sys
import traceback

from tests.simulation.history import Broken, History
from tests.simulation.town import Town


def main(first: int, after: int, kind: type[History] = History) -> int:
    for seed in range(first, after):
        try:
            kind(seed).run()
        except Broken as broken:
            print(broken)
            return 1
        except Exception:  # noqa: BLE001  # whatever the server does wrong is told with its seed
            print(f"seed {seed}: the server failed")
            traceback.print_exc(file=sys.stdout)
            return 1
    print(f"seeds {first} to {after - 1} hold")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), Town if sys.argv[3:] == ["town"] else History))
