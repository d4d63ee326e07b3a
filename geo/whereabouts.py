"""Whether a layer lies where its district can be: degrees, longitude first, near the edition that it replaces.

Coordinate systems are no matter here: they lie less than a kilometre apart, and what is looked for is farther off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geo.coordinates import Floats, shifted_share
from geo.faults import Fault, FaultCode, error, warning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geo.cells import Bbox, Layer

# A district may grow by as much again on each side, as when two become one, and by this at least.
LEAST_GROWTH_DEGREES = 0.1


def lies_right(
    grounds: Sequence[Any], labels: Sequence[str], previous: Layer | None, faults: list[Fault]
) -> bool:
    """Whether the coordinates can be meant; if not, further checks would mislead. `labels` name the grounds."""
    boxes = shapely.bounds(np.array(grounds, dtype=object))
    x, y = boxes[:, [0, 2]], boxes[:, [1, 3]]
    if np.abs(boxes).max() > 360.0:
        faults.append(error(FaultCode.METRES_AS_DEGREES))
        return False
    across = boxes[:, 2] - boxes[:, 0] > 180.0
    if across.any():
        faults += [error(FaultCode.ANTIMERIDIAN, (labels[i],)) for i in np.flatnonzero(across).tolist()]
        return False
    lon, lat = float(x.mean()), float(y.mean())
    extent = None if previous is None else _grown(previous.bbox)
    near = _near(boxes, extent)
    if (np.abs(y).max() > 90.0 and np.abs(x).max() <= 90.0) or _swapped(
        lon, lat, extent, near=bool(near.any())
    ):
        faults.append(error(FaultCode.AXES_SWAPPED))
        return False
    outside = (np.abs(x).max(axis=1) > 180.0) | (np.abs(y).max(axis=1) > 90.0)
    if outside.any():
        off_the_earth = FaultCode.COORDINATES_OUT_OF_RANGE
        faults += [error(off_the_earth, (labels[i],)) for i in np.flatnonzero(outside).tolist()]
        return False
    if not _at_home(lon, lat):
        faults.append(warning(FaultCode.PLACE_UNUSUAL, (), lon=f"{lon:.3f}", lat=f"{lat:.3f}"))
    if previous is not None and not near.any():
        return _elsewhere(lon, lat, previous, faults)
    faults += [error(FaultCode.OUTSIDE_EXTENT, (labels[i],)) for i in np.flatnonzero(~near).tolist()]
    return True


def _grown(bbox: Bbox) -> Bbox:
    west, south, east, north = bbox
    wide, high = max(east - west, LEAST_GROWTH_DEGREES), max(north - south, LEAST_GROWTH_DEGREES)
    return (west - wide, south - high, east + wide, north + high)


def _near(boxes: Floats, extent: Bbox | None) -> NDArray[np.bool_]:
    """Which boxes touch the extent; all, where none is known."""
    if extent is None:
        return np.ones(len(boxes), dtype=np.bool_)
    west, south, east, north = extent
    within = (boxes[:, 2] >= west) & (boxes[:, 0] <= east) & (boxes[:, 3] >= south) & (boxes[:, 1] <= north)
    return np.asarray(within, dtype=np.bool_)


def _swapped(lon: float, lat: float, extent: Bbox | None, *, near: bool) -> bool:
    """Whether the layer would lie right with its axes the other way round, and does not as it is.

    Nobody swaps into the region by chance: seen from it, the swapped places are in the Arctic sea.
    """
    if extent is not None:
        west, south, east, north = extent
        if not near and west <= lat <= east and south <= lon <= north:
            return True
    return not _at_home(lon, lat) and _at_home(lat, lon)


def _at_home(lon: float, lat: float) -> bool:
    return abs(lat) <= 90.0 and float(shifted_share([lon], [lat])[0]) > 0.0


def _elsewhere(lon: float, lat: float, previous: Layer, faults: list[Fault]) -> bool:
    """No cell is near the last edition: an error, unless it is the last edition that lies where nobody expects it."""
    west, south, east, north = previous.bbox
    old_lon, old_lat = (west + east) / 2, (south + north) / 2
    mended = _at_home(lon, lat) and not _at_home(old_lon, old_lat)
    say = warning if mended else error
    words = {
        "lon": f"{lon:.3f}",
        "lat": f"{lat:.3f}",
        "old_lon": f"{old_lon:.3f}",
        "old_lat": f"{old_lat:.3f}",
    }
    faults.append(say(FaultCode.LAYER_ELSEWHERE, (), **words))
    return mended
