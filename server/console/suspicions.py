"""Devices whose recent fixes look as if they carried a wrong coordinate system: figures, and never a position.

What is sealed is left out, so that no figure tells of it. A place that somebody set by a pin of his own says nothing
about the device of the capture, and is left out as well.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from geo.cells import Layer
from geo.suspicion import Expected, Sighting, Suspicion
from sync.config import Config
from sync.placing import cells_worked_in, fix_of
from sync.store import Reader, Row
from sync.values import SEALED, Collection, Doc

DAYS: Final = 90  # how far back a capture is recent
LOOKED_AT_MAX: Final = 5_000  # cases, the newest changes first
_CHUNK: Final = 500
_DAY_MS: Final = 86_400_000


def suspicions(reader: Reader, config: Config, *, now: int) -> dict[str, Any]:
    """Each device that looks mis-tagged, by its id; `judged` are the devices with enough places to say something."""
    if config.index is None:
        return {"items": [], "judged": 0, "days": DAYS}
    layer = config.index.layer
    expected = Expected(layer, config.provider)
    sightings = _sightings(reader, layer, since=now - DAYS * _DAY_MS)
    devices = reader.find("device", {"pk": sorted(sightings)}) if sightings else []
    items: list[dict[str, Any]] = []
    judged = 0
    for device in sorted(devices, key=lambda row: (row["id"], row["pk"])):
        cells = frozenset(cells_worked_in(config, device["user_pk"]))
        found = expected.suspicions(_known(one, cells) for one in sightings[device["pk"]])
        if found is None:
            continue
        judged += 1
        items += [_told(config, device, suspicion) for suspicion in found]
    return {"items": items, "judged": judged, "days": DAYS}


def _known(one: Sighting, cells: frozenset[str]) -> Sighting:
    """The sighting with what is known: where a person put it, else where its owner works."""
    return one if one.confirmed else msgspec.structs.replace(one, cells=cells)


def _sightings(reader: Reader, layer: Layer, *, since: int) -> dict[int, list[Sighting]]:
    """By the key of the device that took it: every recent fix that tells something about it."""
    found: dict[int, list[Sighting]] = {}
    for docs in _recent(reader):
        history = _history(reader, [doc.pk for doc in docs])
        for doc in docs:
            if doc.gone is not None or doc.klass == SEALED:
                continue
            case = msgspec.json.decode(b"{" + doc.clear + b"}")
            fix = fix_of(case.get("location"))
            if fix is None or (case.get("received_at") or 0) < since:
                continue
            moved = next((line for line in history.get(doc.pk, ()) if _is_about_place(line)), None)
            device = _captured_on(doc, history.get(doc.pk, ())) if moved is None else moved["by_device"]
            if device is None:
                continue
            by_person = (case.get("assignment") or {}).get("method") == "person"
            if by_person and (moved is not None or layer.cell(str(case.get("cell"))) is None):
                continue
            cell = frozenset({str(case["cell"])}) if by_person else frozenset()
            found.setdefault(device, []).append(Sighting(fix, cell, confirmed=by_person))
    return found


def _recent(reader: Reader) -> Iterator[Sequence[Doc]]:
    below: tuple[int, int] | None = None
    for _ in range(LOOKED_AT_MAX // _CHUNK):
        docs = reader.recent(Collection.cases, below=below, limit=_CHUNK)
        yield docs
        if len(docs) < _CHUNK:
            return
        below = (docs[-1].seq, docs[-1].pk)


def _history(reader: Reader, pks: list[int]) -> dict[int, list[Row]]:
    """What each document has been through, the newest first."""
    found: dict[int, list[Row]] = {}
    columns = ("doc_pk", "seq", "device", "by_device", "fields")
    for line in reader.find("change", {"doc_pk": pks}, order=["-seq"], columns=columns) if pks else ():
        found.setdefault(line["doc_pk"], []).append(line)
    return found


def _is_about_place(line: Row) -> bool:
    return "location" in line["fields"].split(",")


def _captured_on(doc: Doc, past: Sequence[Row]) -> int | None:
    first = past[-1]["device"] if past else doc.device
    return None if first is None else int(first)


def _told(config: Config, device: Row, suspicion: Suspicion) -> dict[str, Any]:
    account = config.accounts.get(device["user_pk"])
    figures: Mapping[str, Any] = msgspec.to_builtins(suspicion)
    return {
        "device": {"id": device["id"], "name": device["name"], "revoked": device["revoked_at"] is not None},
        "user": None if account is None else account.username,
        **figures,
        "told_zh": suspicion.sentence_zh,
        "told_en": suspicion.sentence_en,
    }
