"""Run seeds by hand: ``python -m tests.simulation FIRST AFTER_LAST``; tells each history that fails."""

from __future__ import annotations

import sys
import traceback

from tests.simulation.history import Broken, History


def main(first: int, after: int) -> int:
    failed = []
    for seed in range(first, after):
        try:
            History(seed).run()
        except Broken as broken:
            failed.append(seed)
            print(broken)
        except Exception:
            failed.append(seed)
            print(f"seed {seed}: the server failed")
            traceback.print_exc()
    print(f"{len(failed)} of {after - first} failed: {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
