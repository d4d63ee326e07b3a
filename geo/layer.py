"""The door to layers: read a district's file, check, keep and draw a layer. One file each is behind it."""

from geo.cells import Area, Cell, Kind, Layer, Level
from geo.checks import check
from geo.codes import SCHEMES, CodeError, Scheme
from geo.document import Form
from geo.faults import Fault, FaultCode, Repair, Report, Severity
from geo.features import Fields
from geo.reading import Reading, Step, Tell, quiet, read_file, read_geojson
from geo.reports import placed, report_csv, report_geojson
from geo.writing import LayerError, exported, from_geojson, geometry_of, simplified, to_geojson

__all__ = [
    "SCHEMES",
    "Area",
    "Cell",
    "CodeError",
    "Fault",
    "FaultCode",
    "Fields",
    "Form",
    "Kind",
    "Layer",
    "LayerError",
    "Level",
    "Reading",
    "Repair",
    "Report",
    "Scheme",
    "Severity",
    "Step",
    "Tell",
    "check",
    "exported",
    "from_geojson",
    "geometry_of",
    "placed",
    "quiet",
    "read_file",
    "read_geojson",
    "report_csv",
    "report_geojson",
    "simplified",
    "to_geojson",
]
