"""Memory of the C library: one heap for all threads, and what was freed goes back. Where it is not glibc, nothing."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
HEAPS = """
import ctypes, threading
from server import memory
memory.share_one_heap()
held, ready, end = [], threading.Barrier(5), threading.Event()
def work():
    held.append([bytearray(60_000) for _ in range(20)])
    ready.wait()
    end.wait()
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
ready.wait()
library = ctypes.CDLL(None)
library.malloc_info(0, ctypes.c_void_p.in_dll(library, "stdout"))
library.fflush(None)
end.set()
"""
FREED = """
from pathlib import Path
from server import memory
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20
held = [bytearray(60_000) for _ in range(2_000)]
last = bytearray(60_000)  # above them: what lies below is not given back by itself
del held
before = resident()
memory.give_back()
print(before - resident())
"""


def said_by(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_threads_have_one_heap() -> None:
    if platform.libc_ver()[0] == "glibc":
        assert said_by(HEAPS).count("<heap nr=") == 1


def test_what_was_freed_goes_back_to_the_system() -> None:
    if platform.libc_ver()[0] == "glibc":
        assert int(said_by(FREED)) > 50
