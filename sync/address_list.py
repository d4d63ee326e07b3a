"""The district's own list of addresses, written: a line is one text of one kind, and stays."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from msgspec import Struct, structs

from sync import address_text
from sync.commit import Context, Work, audit_row
from sync.store import Row, Tx

KINDS: Final = ("address", "compound", "building")  # 门牌, 小区, 楼栋
SOURCE_MAX: Final = 100
PART_BITS: Final = 13
EVERY: Final = ""  # the pair that every address has: how many there are
DEGREE: Final = 1_000_000  # places are kept in whole millionths, 11 cm
_PIECE: Final = 500


class AddressRecord(Struct, frozen=True):
    """One line: the text as written, and where it is in millionths of a WGS-84 degree."""

    text: str
    kind: str
    lon: int
    lat: int
    source: str = ""


class Taken(Struct):
    """What became of lines."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0


def add_addresses(records: Iterable[AddressRecord]) -> Work[Taken]:
    """Add lines, or change those of the same form and kind. At most a few thousand at once: the district waits."""
    wanted: dict[tuple[str, str], tuple[AddressRecord, frozenset[str]]] = {}
    listed = list(records)
    for record in listed:
        told = address_text.read(record.text)
        wanted[told.plain, record.kind] = (record, told.pairs)

    def work(tx: Tx, context: Context) -> Taken:
        known = _known(tx, wanted.keys())
        fresh: list[Row] = []
        taken = Taken(unchanged=len(listed) - len(wanted))
        for key, (record, _) in wanted.items():
            row = structs.asdict(record)
            former = known.get(key)
            if former is None:
                fresh.append(row | {"plain": key[0]})
            elif {name: former[name] for name in row} == row:
                taken.unchanged += 1
            else:
                tx.update("address", {"pk": former["pk"]}, row)
                taken.changed += 1
        if fresh:
            tx.insert("address", fresh)
            taken.added = len(fresh)
            made = _known(tx, [(row["plain"], row["kind"]) for row in fresh])
            _index(tx, {row["pk"]: wanted[key][1] for key, row in made.items() if key not in known})
        if taken.added or taken.changed:
            # No document changes, so it takes no number, and no phone need ask.
            audit_row(tx, context, tx.head().seq, "addresses.add", [])
        return taken

    return work


def _known(tx: Tx, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Row]:
    plains = sorted({plain for plain, _ in keys})
    rows = [
        row
        for start in range(0, len(plains), _PIECE)
        for row in tx.find("address", {"plain": plains[start : start + _PIECE]})
    ]
    return {(row["plain"], row["kind"]): row for row in rows}


def _index(tx: Tx, pairs_of: dict[int, frozenset[str]]) -> None:
    """Enter new addresses under their pairs. Keys only rise, so what is there is never sorted again."""
    places: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for pk in sorted(pairs_of):
        for pair in (EVERY, *pairs_of[pk]):
            places[pair, pk >> PART_BITS].append(pk & ((1 << PART_BITS) - 1))
    former = _entered(tx, sorted({pair for pair, _ in places}), sorted({part for _, part in places}))
    for (pair, part), found in sorted(places.items()):
        before = former.get((pair, part), b"")
        kept = before + np.array(found, dtype="<u2").tobytes()
        tx.put("address_pair", {"pair": pair, "part": part, "count": len(kept) // 2, "places": kept})


def _entered(tx: Tx, pairs: Sequence[str], parts: Sequence[int]) -> dict[tuple[str, int], bytes]:
    found: list[dict[str, Any]] = []
    for start in range(0, len(pairs), _PIECE):
        where = {"pair": pairs[start : start + _PIECE], "part": list(parts)}
        found += tx.find("address_pair", where, columns=["pair", "part", "places"])
    return {(row["pair"], row["part"]): bytes(row["places"]) for row in found}
