"""Layers on the command line: any format, the report as a file, a bar for large ones, and out again."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from rich.console import Console

from geo.layer import Step, read_geojson
from geo.points import Crs
from server.cli import faults
from server.layer_files import TELL
from tests.http.test_cli import Line, line, one_cell  # noqa: F401  # `line` is a fixture
from tests.unit.geo.conftest import chessboard, collection, square
from tests.unit.geo.layer_files import board_kml, board_shapefile, in_metres, parts_of, zipped

if TYPE_CHECKING:
    from pathlib import Path


def kept(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


def test_every_format_is_checked_and_imported(line: Line, tmp_path: Path) -> None:  # noqa: F811
    for name, content in (
        ("a.geojson", collection(chessboard())),
        ("a.zip", board_shapefile(cpg="UTF-8")),
        ("a.kml", board_kml()),
        ("a.kmz", zipped({}, {"doc.kml": board_kml()})),
    ):
        path = kept(tmp_path, name, content)
        assert "9 cells in 5 areas, 0 warnings." in line.run("cells", "check", path, "--crs", "wgs84").output
        assert "9 cells in 5 areas." in line.run("cells", "import", path, "--crs", "wgs84").output
    assert len(line.run("cells", "list").output.splitlines()) == 4


def test_names_in_gbk_need_no_option_and_a_wrong_one_is_told(line: Line, tmp_path: Path) -> None:  # noqa: F811
    path = kept(tmp_path, "a.zip", zipped(parts_of(chessboard(), encoding="gbk")))
    words = ("cells", "check", path, "--crs", "wgs84")
    assert "encoding_guessed" in line.run(*words).output
    assert "encoding_guessed" not in line.run(*words, "--encoding", "gbk").output
    assert "encoding_wrong" in line.run(*words, "--encoding", "utf-8", code=1).output
    text = kept(tmp_path, "a.geojson", collection_in("gb18030"))
    assert "encoding_guessed" in line.run("cells", "check", text, "--crs", "wgs84").output


def test_a_city_keeps_the_table_of_its_own_plane_in_a_file(line: Line, tmp_path: Path) -> None:  # noqa: F811
    cells, _ = in_metres(chessboard(), east=300_000, north=3_800_000)
    path = kept(tmp_path, "a.geojson", collection(cells))
    lines = ['base = "EPSG:4547"', "[plane]", 'axes = "east_north"', "dx_m = 300000", "dy_m = 3800000"]
    table = "\n".join([*lines, "rotation_s = 0", "scale_ppm = 0"]).encode()
    town = kept(tmp_path, "town.toml", table)
    assert "9 cells in 5 areas, 0 warnings." in line.run("cells", "check", path, "--crs", town).output
    wrong = kept(tmp_path, "wrong.toml", table.replace(b"dx_m", b"dx"))
    assert "system_table_invalid" in line.run("cells", "check", path, "--crs", wrong, code=1).output
    assert (
        "broken.toml"
        in line.run("cells", "check", path, "--crs", kept(tmp_path, "broken.toml", b"="), code=1).output
    )
    assert line.run("cells", "check", path, "--crs", str(tmp_path / "none.toml"), code=1).output


def collection_in(encoding: str) -> bytes:
    document = {"type": "FeatureCollection", "features": chessboard()}
    return json.dumps(document, ensure_ascii=False).encode(encoding)


def faulty() -> bytes:
    cells: list[dict[str, Any]] = chessboard()
    cells[0]["geometry"] = square(112.4, 34.66, 112.4012, 34.6609)
    return collection(cells)


def test_the_faults_are_written_for_a_map_or_a_spreadsheet(line: Line, tmp_path: Path) -> None:  # noqa: F811
    path = kept(tmp_path, "a.geojson", faulty())
    for command in ("check", "import"):
        for name in ("out.geojson", "out.csv"):
            out = tmp_path / name
            told = line.run("cells", command, path, "--crs", "wgs84", "--report", str(out), code=1).output
            assert "overlap" in told
            assert " m²" in told
        document = json.loads((tmp_path / "out.geojson").read_text())
        assert {item["properties"]["code"] for item in document["features"]} >= {"overlap"}
        assert document["features"][0]["geometry"]["type"] == "Polygon"
        rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text("utf-8-sig"))))
        assert rows[0]["code"] == "overlap"
    line.run("cells", "check", path, "--crs", "wgs84", "--report", str(tmp_path / "out.pdf"), code=1)


def test_a_repair_is_shown_and_made_only_when_it_is_asked_for(line: Line, tmp_path: Path) -> None:  # noqa: F811
    cells = chessboard()
    cells[4]["geometry"] = square(112.4011, 34.6609, 112.402195, 34.6618)
    words = ("cells", "check", kept(tmp_path, "a.geojson", collection(cells)), "--crs", "wgs84")
    told = line.run(*words).output
    assert "fill 410399001002002: 10021.1 → 10066.9 m²" in told
    assert "1 corners inserted, with --repair" in told
    assert ", made" in line.run(*words, "--repair").output


@pytest.mark.parametrize("ending", ["geojson", "zip", "kml"])
def test_a_generation_is_written_and_read_again(line: Line, tmp_path: Path, ending: str) -> None:  # noqa: F811
    line.run("cells", "import", kept(tmp_path, "a.kml", board_kml()), "--crs", "wgs84")
    target = tmp_path / f"out.{ending}"
    line.run("cells", "export", "1", str(target))
    line.run("cells", "import", str(target), "--crs", "wgs84")
    second = tmp_path / f"again.{ending}"
    line.run("cells", "export", "2", str(second), "--format", {"zip": "shapefile"}.get(ending, ending))
    before, after = target.read_bytes(), second.read_bytes()
    assert before == after or (
        ending == "geojson" and json.loads(before)["features"] == json.loads(after)["features"]
    )
    line.run("cells", "export", "9", str(target), code=1)
    assert "must end" in line.run("cells", "export", "1", str(tmp_path / "out.dwg"), code=1).output


def test_a_district_says_how_its_codes_are_made_up(line: Line, tmp_path: Path) -> None:  # noqa: F811
    assert "None is set" in line.run("cells", "scheme").output
    assert "cjt349: 20 digits" in line.run("cells", "scheme", "cjt349").output
    refused = line.run("cells", "import", one_cell(tmp_path), "--crs", "wgs84", code=1).output
    assert "cjt349" in refused
    table = {"name": "ours", "total": 15, "parts": [
        {"name": "district", "digits": 6, "level": 3}, {"name": "cell", "digits": 9, "level": 0},
    ]}  # fmt: skip
    path = tmp_path / "scheme.json"
    path.write_text(json.dumps(table))
    assert "ours: 15 digits: district 6, cell 9." in line.run("cells", "scheme", str(path)).output
    assert "1 cells in 1 areas" in line.run("cells", "import", one_cell(tmp_path), "--crs", "wgs84").output
    path.write_text(json.dumps(table | {"total": 14}))
    line.run("cells", "scheme", str(path), code=1)
    line.run("cells", "scheme", "klingon", code=1)
    line.run("cells", "scheme", str(tmp_path / "gone.json"), code=1)


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=200, color_system=None)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_bar_is_drawn_on_a_terminal_for_a_large_file_and_nowhere_else() -> None:
    console = terminal()
    with faults.reading_bar(faults.LARGE_BYTES, console):
        for step in Step:
            TELL.get()(step)
    assert "check" in shown(console)
    quiet = Console(file=io.StringIO(), force_terminal=False)
    for size, where in ((faults.LARGE_BYTES - 1, terminal()), (faults.LARGE_BYTES, quiet)):
        with faults.reading_bar(size, where):
            TELL.get()(Step.CHECK)
        assert shown(where) == ""


def test_a_reading_tells_each_of_its_steps_in_turn() -> None:
    told: list[Step] = []
    read_geojson(collection(chessboard()), Crs.WGS84, repair=True, tell=told.append)
    assert told == list(Step)


def test_the_table_of_a_terminal_has_code_cells_sizes_and_both_sentences() -> None:
    console = terminal()
    report = read_geojson(faulty(), Crs.WGS84).report
    console.print(faults.fault_table(msgspec.to_builtins(report.faults)))
    text = shown(console)
    for part in ("overlap", "error", "915", "9.17", "互相重叠"):
        assert part in text
