"""The door to layers: read a district's file, check, keep and draw a layer. One file each is behind it."""

from geo.cells import Area, Cell, Kind, Layer, Level
from geo.checks import check
from geo.faults import Fault, FaultCode, Repair, Report, Severity
from geo.reading import Fields, Reading, read_geojson
from geo.writing import LayerError, from_geojson, geometry_of, simplified, to_geojson

__all__ = [
    "Area",
    "Cell",
    "Fault",
    "FaultCode",
    "Fields",
    "Kind",
    "Layer",
    "LayerError",
    "Level",
    "Reading",
    "Repair",
    "Report",
    "Severity",
    "check",
    "from_geojson",
    "geometry_of",
    "read_geojson",
    "simplified",
    "to_geojson",
]
