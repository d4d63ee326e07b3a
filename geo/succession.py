"""Which cell of a new edition takes over the ground of one that it no longer has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geo.cells import Layer

# A cell that two others share has no successor: nobody can say which half a house without a fix stands in.
LEAST_SHARE = 0.9


def successors(outlines: Mapping[str, Any], layer: Layer) -> dict[str, str]:
    """For each old outline (a Shapely geometry in degrees, by code) the one cell that has at least nine tenths of it.

    Shares of one small outline are compared, so degrees will do. Codes without a successor are left out.
    """
    if not outlines or not layer.cells:
        return {}
    tree = shapely.STRtree(layer.geometries)
    found: dict[str, str] = {}
    for code, outline in outlines.items():
        old = shapely.make_valid(outline)
        whole = float(shapely.area(old))
        near = tree.query(old, predicate="intersects")
        if not whole or not near.size:
            continue
        shares = shapely.area(shapely.intersection(layer.geometries[near], old)) / whole
        best = int(np.argmax(shares))
        if shares[best] >= LEAST_SHARE:
            found[code] = layer.cells[int(near[best])].code
    return found
