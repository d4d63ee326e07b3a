"""Mass re-assignments with a clock: pieces of 50 ms, so that whoever pushes waits for one piece at most."""

import asyncio
from collections.abc import Callable

from server.clocks import monotonic_ms
from server.districts import District
from sync.reassign import Budget, Piece, reassign_work

PIECE_MS = 50


def _begin() -> Callable[[], bool]:
    end = monotonic_ms() + PIECE_MS
    return lambda: monotonic_ms() >= end


BUDGET = Budget(begin=_begin)


async def go_on(district: District, *, pieces: int | None = None, actor: str = "reassign") -> int:
    """Re-assign until nothing is under way, or for so many pieces; how many documents moved.

    Works that came meanwhile are committed with the next piece, at the latest.
    """
    moved = 0
    while pieces is None or pieces > 0:
        piece = await district.writer.submit(reassign_work(BUDGET), actor=actor, unhurried=True)
        moved += piece.moved
        if piece.pk is None:
            break
        pieces = None if pieces is None else pieces - 1
        await asyncio.sleep(0)
    return moved


def go_on_blocking(district: District, *, pieces: int, actor: str) -> Piece:
    """So many pieces, for threads; the last of them, without a key when nothing is under way any more."""
    piece = Piece(None)
    for _ in range(pieces):
        piece = district.writer.submit_blocking(reassign_work(BUDGET), actor=actor, unhurried=True)
        if piece.pk is None:
            break
    return piece
