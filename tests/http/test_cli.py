"""The command line: clear sentences, and an exit code that tells whether it did what it says."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pysqlite3
import pytest
from click.testing import CliRunner

from server.cli import main
from server.database import Database
from server.runtime import initialise
from server.settings import Settings

if TYPE_CHECKING:
    from click.testing import Result

UNITS = (
    "code,type,name,area,level,parent\n"
    "C,party_committee,中心,990101,3,\n"
    "K,residents_committee,一社区,990101001001,1,C\n"
)
EVERYWHERE = "0.0.0.0"  # noqa: S104  # refused, which is what is tested
PASSWORD = "lan tian bai yun"


class Line:
    """A shell in which `wangge` is typed."""

    def __init__(self, data: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WANGGE_DATA", data)
        monkeypatch.setattr("os.umask", lambda _: 0o022)

    def run(self, *words: str, stdin: str = "", code: int = 0) -> Result:
        result = CliRunner().invoke(main, words, input=stdin)
        assert result.exit_code == code, (result.output, result.exception)
        if code:
            assert "Traceback" not in result.output
        return result


@pytest.fixture
def line(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(settings.data, monkeypatch)


def commands(group: click.Command, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [words]
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            found += commands(command, (*words, name))
    return found


@pytest.mark.parametrize(
    "words", [words for words in commands(main) if words != ("phones", "simulate")], ids=" ".join
)
def test_every_command_tells_how_it_is_used(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*words, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_a_district_is_made_and_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(str(tmp_path / "new"), monkeypatch)
    line.run("init", "990102", "西区")
    assert "exists already" in line.run("init", "990102", "西区", code=1).output
    line.run("init", "990103", "北区")
    assert "several districts" in line.run("users", "list", code=1).output
    line.run("users", "list", "--district", "990103")
    assert "no district" in line.run("users", "list", "--district", "x1", code=1).output
    assert "small letters" in line.run("init", "../x", "x", code=1).output


def test_nothing_can_be_done_before_init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(str(tmp_path / "empty"), monkeypatch)
    for words in (("users", "list"), ("serve",), ("verify",), ("migrate", "--all")):
        assert "wangge init" in line.run(*words, code=1).output


def test_people_are_added_granted_and_closed(line: Line, tmp_path: Path) -> None:
    (tmp_path / "units.csv").write_text(UNITS)
    assert "2 units" in line.run("units", "import", str(tmp_path / "units.csv")).output
    assert "0 units" in line.run("units", "import", str(tmp_path / "units.csv")).output
    add = ("users", "add", "wang", "--name", "王", "--password-stdin")
    line.run(*add, "--role", "clerk@C", stdin=PASSWORD + "\n")
    assert "已经存在" in line.run(*add, stdin=PASSWORD + "\n", code=1).output
    line.run("users", "grant", "wang", "dispatcher", "--unit", "C")
    assert "clerk@C dispatcher@C" in line.run("users", "list").output
    line.run("users", "revoke", "wang", "clerk")
    line.run("users", "revoke", "wang", "clerk", code=1)
    line.run("users", "close", "wang")
    listed: list[dict[str, Any]] = json.loads(line.run("users", "list", "--json").output)
    assert [(row["state"], [role["role"] for role in row["roles"]]) for row in listed] == [
        ("closed", ["dispatcher"])
    ]


@pytest.mark.parametrize(
    ("words", "stdin", "code", "said"),
    [
        (("users", "add", "wang", "--name", "王", "--password-stdin"), "12345678\n", 1, "first that anybody"),
        (("users", "add", "wang", "--name", "王", "--password-stdin"), "short\n", 1, "8 to 128"),
        (("users", "add", "wang"), "", 2, "--name"),
        (
            ("users", "add", "w", "--name", "王", "--role", "clerk", "--password", PASSWORD),
            "",
            2,
            "ROLE@UNIT",
        ),
        (("users", "add", "w", "--name", "王", "--role", "clerk@X", "--password", PASSWORD), "", 1, "X"),
        (("users", "add", "w", "--name", "王", "--role", "king@C", "--password", PASSWORD), "", 1, "king"),
        (("users", "grant", "nobody", "clerk", "--unit", "C"), "", 1, "nobody"),
        (("users", "grant", "nobody", "clerk"), "", 2, "unit or a cell"),
        (("users", "grant", "wang", "clerk", "--unit", "C", "--until", "31.12."), "", 2, "--until"),
        (("users", "grant", "wang", "clerk", "--unit", "C", "--until", "2020-01-01"), "", 1, "截止时间"),
        (("users", "passwd", "nobody", "--password", PASSWORD), "", 1, "no account"),
        (("units", "import", "/nowhere.csv"), "", 2, "/nowhere.csv"),
        (("cells", "activate", "7"), "", 1, "7"),
        (("cells", "activate", "x"), "", 2, "integer"),
        (("cells", "activate", "99999999999999999999999"), "", 2, "range"),
        (("cells", "preview", "99999999999999999999999"), "", 2, "range"),
        (("restore", "/etc/hostname"), "", 1, "cannot be read"),
        (("migrate",), "", 2, "--all"),
        (("nonsense",), "", 2, "nonsense"),
    ],
)
def test_bad_input_ends_with_a_sentence_and_changes_nothing(
    line: Line, words: tuple[str, ...], stdin: str, code: int, said: str
) -> None:
    assert said in line.run(*words, stdin=stdin, code=code).output
    assert line.run("users", "list").output == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "first line"),
        ("code,name\nC,x\n", "first line"),
        (UNITS + "D,nonsense,x,990101,3,\n", "nonsense"),
        (UNITS + "D,department,,990101,3,\n", "`name` is empty"),
        (UNITS + "D,department,x,990101,high,\n", "level"),
        (UNITS + "D,department,x,990101,9,\n", "0 到 3"),
        (UNITS + "D,department,x,990101,3,NONE\n", "NONE"),
        (UNITS + "C,department,x,990101,3,\n", "stands twice"),
        (UNITS + "D,department,x,990101,3,,,\n", "too many columns"),
        (UNITS + 'D,"department', "Line"),
        ('"code,type', "Line"),
        ("c" * 200_000 + "," + UNITS, "Line 1"),
        (UNITS + "D,department,x,990101,3,D\n", "归到自己下面"),
        (UNITS + "D,department,x,990101,3,E\nE,department,x,990101,3,D\n", "归到自己下面"),
        (UNITS + "D,department,x\0y,990101,3,\n", "第 4 行"),
        (UNITS + f"{'D' * 65},department,x,990101,3,\n", "第 4 行"),
        (UNITS + f"D,department,{'x' * 101},990101,3,\n", "第 4 行"),
        (UNITS.replace("level,parent", "level,parent,name").replace(",3,", ",3,,y"), "each once"),
        ("code,type,name,area,level,parent\n", "no units"),
    ],
)
def test_a_list_of_units_with_one_bad_line_is_refused_as_a_whole(
    line: Line, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "units.csv").write_text(text)
    assert said in line.run("units", "import", str(tmp_path / "units.csv"), code=1).output
    (tmp_path / "units.csv").write_text(UNITS)
    assert "2 units" in line.run("units", "import", str(tmp_path / "units.csv")).output


def test_an_administrator_says_what_is_sure_enough_for_a_cell(line: Line) -> None:
    shown = line.run("cells", "thresholds").output
    assert shown.split() == ["auto", "0.8", "flag", "0.5", "radius_m", "100", "tolerance_m", "50"]
    line.run("cells", "thresholds", "--auto", "0.9", "--radius", "150")
    assert line.run("cells", "thresholds", "--tolerance", "0").output.split()[1::2] == [
        "0.9",
        "0.5",
        "150",
        "0",
    ]
    for wrong in (("--flag", "0.9"), ("--auto", "nan"), ("--radius", "0"), ("--tolerance", "-1")):
        refused = line.run("cells", "thresholds", *wrong, code=1).output
        assert "0 < flag < auto" in refused
    line.run("cells", "thresholds", "--auto", "many", code=2)
    assert line.run("cells", "thresholds").output.split()[1::2] == ["0.9", "0.5", "150", "0"]


def test_a_unit_stands_at_an_area_of_the_cells_in_force(line: Line, tmp_path: Path) -> None:
    path = tmp_path / "units.csv"
    path.write_text(UNITS)
    line.run("units", "import", str(path))  # before there are cells nobody can tell
    line.run("cells", "import", one_cell(tmp_path), "--crs", "wgs84", "--activate")
    assert "0 units" in line.run("units", "import", str(path)).output
    path.write_text(UNITS + "D,department,水利局,990101009,2,\n")
    assert "990101009" in line.run("units", "import", str(path), code=1).output
    path.write_text(UNITS + "D,department,水利局,990101001,2,\n")
    assert "1 units" in line.run("units", "import", str(path)).output


@pytest.mark.parametrize(
    ("username", "name"),
    [
        ("w" * 65, "王"),
        ("wang\nli", "王"),
        (" wang", "王"),
        ("wang", "王\n芳"),
        ("wang", "王" * 101),
        ("wang", " "),
    ],
)
def test_nobody_gets_a_name_under_which_he_could_not_sign_in_or_be_listed(
    line: Line, username: str, name: str
) -> None:
    line.run("users", "add", username, "--name", name, "--password", PASSWORD, code=1)
    assert line.run("users", "list").output == ""


def test_a_list_as_spreadsheets_write_it_is_read(line: Line, tmp_path: Path) -> None:
    (tmp_path / "units.csv").write_bytes(UNITS.replace("\n", "\r\n").encode("gb18030"))
    line.run("units", "import", str(tmp_path / "units.csv"))
    (tmp_path / "units.csv").write_bytes(UNITS.encode("utf-8-sig"))
    assert "0 units" in line.run("units", "import", str(tmp_path / "units.csv")).output


def test_a_list_of_addresses_keeps_its_good_lines_and_names_the_others(line: Line, tmp_path: Path) -> None:
    file = tmp_path / "addresses.csv"
    file.write_bytes("地址,经度,纬度,类别\n牡丹路1号,112.4,34.6,\n幸福小区,112.41,34.6,小区\n".encode("gbk"))
    words = ("addresses", "import", str(file), "--source", "民政")
    assert "2 lines refused" in line.run(*words, code=1).output  # no coordinate system
    assert "2 added, 0 changed, 0 unchanged." in line.run(*words, "--crs", "gcj02").output
    assert "0 added, 0 changed, 2 unchanged." in line.run(*words, "--crs", "gcj02").output
    assert "文件不是 utf-8 编码" in line.run(*words, "--encoding", "utf-8", code=1).output
    with file.open("ab") as more:
        more.write("牡丹路2号,东,34.6,\n牡丹路3号,112.4,34.6,\n".encode("gbk"))
    told = line.run(*words, "--crs", "gcj02", "--encoding", "gbk", code=1).output
    assert ":4: coordinate_not_a_number: 经度或纬度不是数字。" in told
    assert "1 added, 0 changed, 2 unchanged; 1 lines refused." in told


def test_an_unsafe_server_says_why_and_ends_with_2(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "clock" in line.run("serve", "--clock-file", "c.json", code=2).output
    assert "WANGGE_ALLOWED_HOSTS" in line.run("serve", "--host", EVERYWHERE, code=2).output


def test_a_test_district_is_served_with_a_clock_that_can_be_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Settings] = []
    monkeypatch.setattr("server.serve.run_server", lambda settings, **_: served.append(settings))
    line = Line(str(tmp_path / "test"), monkeypatch)
    line.run("init", "990109", "试验区", "--test")
    line.run("serve", "--clock-file", "c.json")
    assert [settings.clock_file for settings in served] == ["c.json"]
    assert "990109" in line.run("demo", code=1).output


def test_a_demo_shares_its_folder_with_no_other_district(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from server.demo.district import DISTRICT

    folder = tmp_path / "demo"
    line = Line(str(folder), monkeypatch)
    initialise(Settings(data=str(folder), purpose="demo"), DISTRICT, "演示区", demo=True)
    for words in (("init", "990101", "真区"), ("init", "990101", "试验区", "--test")):
        assert "demo district" in line.run(*words, code=1).output
    assert "demo-accounts.json" in line.run("demo", "--prepare-only", code=1).output
    (folder / "demo-accounts.json").write_text("[]")
    line.run("demo", "--prepare-only", "--clock-file", str(tmp_path / "c.json"))
    database = Database(Settings(data=str(folder)))
    database.add_district("990101", "真区", "真", now=7)
    database.close()
    assert "the district 990101" in line.run("demo", "--prepare-only", code=1).output


@pytest.mark.parametrize(
    ("code", "name", "said"),
    [
        ("../../oops", "区", "small letters"),
        ("41\n", "区", "small letters"),
        ("token", "区", "another key"),
        ("990101", " ", "needs a name"),
        ("BAD", "区", "small letters"),
    ],
)
def test_a_district_that_cannot_be_made_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, name: str, said: str
) -> None:
    line = Line(str(tmp_path / "a" / "b"), monkeypatch)
    assert said in line.run("init", code, name, code=1).output
    assert list(tmp_path.iterdir()) == []
    assert "wangge init" in line.run("serve", code=1).output


def test_without_a_district_in_force_nothing_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(Settings(data=str(tmp_path)))
    database.migrate_directory()
    database.close()
    assert "wangge init" in Line(str(tmp_path), monkeypatch).run("serve", code=2).output


def test_what_init_makes_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Settings] = []
    monkeypatch.setattr("server.serve.run_server", lambda settings, **_: served.append(settings))
    line = Line(str(tmp_path / "new"), monkeypatch)
    line.run("init", "990101", "某区")
    line.run("serve")
    assert served
    for path in (tmp_path / "new" / "keys", tmp_path / "new" / "districts", tmp_path / "new"):
        path.chmod(0o777)
        assert "chmod" in line.run("serve", code=2).output
        path.chmod(0o700)


def test_what_the_system_refuses_is_told_in_a_sentence(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for words in (
        ("init", "990102", "区", "--data", str(file)),
        ("export-contract", str(file)),
        ("backup", str(file / "b.zip")),
        ("backup", "/proc/b.zip"),
    ):
        assert str(words[-1]).split("/b")[0] in line.run(*words, code=1).output

    def nothing(*_: Any, **__: Any) -> None:
        raise AssertionError("the work was begun")

    monkeypatch.setattr("server.backup._write", nothing)
    assert "exists already" in line.run("backup", str(file), code=1).output


def test_looking_into_a_folder_that_is_not_there_does_not_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(str(tmp_path / "nowhere"), monkeypatch)
    assert "wangge init" in line.run("users", "list", code=1).output
    assert list(tmp_path.iterdir()) == []


# --- databases that cannot be used -----------------------------------------------------------------------------------


def garbage(path: Path) -> None:
    path.write_bytes(b"no database at all, " * 500)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 77])


def broken_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 512] = b"\xff" * 512
    path.write_bytes(content)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def removed(path: Path) -> None:
    path.unlink()


def on_a_free_port(words: tuple[str, ...]) -> tuple[str, ...]:
    """The command, so that no other server of this machine is in its way."""
    if words[0] != "serve":
        return words
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return (*words, "--port", str(probe.getsockname()[1]))


COMMANDS = (("users", "list"), ("serve",), ("backup", "b.zip"), ("migrate", "--all"), ("verify",))


@pytest.mark.parametrize("harm", [garbage, cut, broken_pages, emptied, removed])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_district_that_cannot_be_read_is_named(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], harm: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    owners_alone(tmp_path / "data")
    harm(tmp_path / "data" / "districts" / "990101.db")
    assert "990101.db" in line.run(*on_a_free_port(words), code=1).output
    assert not (tmp_path / "b.zip").exists()


@pytest.mark.parametrize("harm", [garbage, cut, emptied])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_directory_that_cannot_be_read_is_named(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], harm: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    owners_alone(tmp_path / "data")
    harm(tmp_path / "data" / "directory.db")
    if harm is emptied and words[0] == "migrate":
        line.run(*words)
    else:
        assert "directory.db" in line.run(*on_a_free_port(words), code=1).output


def test_one_damaged_district_does_not_keep_the_others_from_being_looked_over(
    line: Line, tmp_path: Path
) -> None:
    line.run("init", "990102", "西区")
    garbage(tmp_path / "data" / "districts" / "990101.db")
    said = line.run("verify", code=1).output
    assert "990101: cannot be read" in said
    assert "990102: number" in said
    assert "990101.db" in line.run("verify", "--district", "990101", code=1).output
    line.run("verify", "--district", "990102")


def owners_alone(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)


def at_revision(path: Path, revision: str | None) -> None:
    with contextlib.closing(pysqlite3.connect(str(path))) as connection:
        connection.execute("delete from alembic_version")
        if revision:
            connection.execute("insert into alembic_version values (?)", (revision,))
        connection.commit()


@pytest.mark.parametrize("name", ["directory.db", "districts/990101.db"])
def test_a_database_at_another_version_is_not_served(line: Line, tmp_path: Path, name: str) -> None:
    owners_alone(tmp_path / "data")
    at_revision(tmp_path / "data" / name, "0099")
    for words in (("users", "list"), ("serve",), ("migrate", "--all")):
        said = line.run(*words, code=1).output
        assert Path(name).name in said
        assert "0099" in said
    at_revision(tmp_path / "data" / name, None)
    for words in (("users", "list"), ("serve",)):
        assert "wangge migrate" in line.run(*words, code=1).output


def one_cell(folder: Path, *, east: float = 0.0, code: str = "990101001001001", **more: Any) -> str:
    """A file with one square, so many degrees farther east."""
    west = 112.40 + east
    ring = [[west, 34.60], [west + 0.01, 34.60], [west + 0.01, 34.61], [west, 34.61], [west, 34.60]]
    feature = {
        "type": "Feature",
        "properties": {"code": code, "name": "一格", "kind": "basic"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    path = folder / "cells.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature], **more}))
    return str(path)


def test_a_layer_is_looked_at_beside_the_one_in_force(line: Line, tmp_path: Path) -> None:
    line.run("cells", "import", one_cell(tmp_path), "--crs", "wgs84", "--activate")
    here = ("--district", "990101")
    for words in (("check", one_cell(tmp_path), *here), ("import", one_cell(tmp_path))):
        assert "crs_suspected" in line.run("cells", *words, "--crs", "gcj02", code=1).output
        line.run("cells", *words, "--crs", "wgs84")
    moved = one_cell(tmp_path, east=1)
    for words in (("check", moved, *here), ("import", moved)):
        assert "layer_elsewhere" in line.run("cells", *words, "--crs", "wgs84", code=1).output
        line.run("cells", *words, "--crs", "wgs84", "--elsewhere")  # the edition in force is the wrong one
    neighbour = one_cell(tmp_path, code="110101001001001")
    assert "code_foreign" in line.run("cells", "import", neighbour, "--crs", "wgs84").output
    assert len(line.run("cells", "list").output.splitlines()) == 4


def test_the_coordinate_system_comes_from_the_file_where_the_file_says_it(line: Line, tmp_path: Path) -> None:
    named = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4490"}}
    line.run("cells", "check", one_cell(tmp_path, crs=named))
    line.run("cells", "import", one_cell(tmp_path, crs=named))
    foreign = one_cell(tmp_path, crs="EPSG:3857")
    assert "crs_conflict" in line.run("cells", "check", foreign, "--crs", "wgs84", code=1).output
    fields = tmp_path / "fields.json"
    for text in ('{"cod": "code"}', '{"code": "a", "code": "code"}', "[]", "{"):
        fields.write_text(text)
        words = ("cells", "check", one_cell(tmp_path), "--crs", "wgs84", "--fields", str(fields))
        line.run(*words, code=1)


def test_the_provider_of_maps_is_a_setting_of_the_district(line: Line) -> None:
    assert "mainland_hk_mo" in line.run("cells", "provider", "mainland_hk_mo").output
    line.run("cells", "provider", "mainland")
    line.run("cells", "provider", "elsewhere", code=2)


def test_a_layer_is_checked_kept_and_put_in_force(line: Line, tmp_path: Path) -> None:
    path = Path(one_cell(tmp_path))
    kinds = line.run("cells", "check", str(path), code=1).output
    assert "crs_missing" in kinds
    checked = CliRunner().invoke(main, ["cells", "check", str(path), "--crs", "wgs84"])
    assert checked.exit_code == 0, checked.output
    line.run("cells", "import", str(path), "--crs", "wgs84")
    assert "draft" in line.run("cells", "list").output
    assert "0 of 0 open cases" in line.run("cells", "preview", "1").output
    line.run("cells", "preview", "2", code=1)
    line.run("cells", "activate", "1")
    assert "active" in line.run("cells", "list").output
    line.run("cells", "activate", "1", code=1)
    path.write_text("{")
    line.run("cells", "import", str(path), "--crs", "wgs84", code=1)


def test_a_worker_hands_over_and_the_bar_goes_to_its_end(line: Line, tmp_path: Path) -> None:
    line.run("cells", "import", one_cell(tmp_path), "--crs", "wgs84", "--activate")
    cell = json.loads(Path(one_cell(tmp_path)).read_text())["features"][0]["properties"]["code"]
    for name in ("an", "bo"):
        words = ("users", "add", name, "--name", name, "--role", f"grid_worker@cell:{cell}")
        line.run(*words, "--password", PASSWORD)
    told = line.run("reassign", "worker", "an", "bo").output
    assert "Re-assignment 2: an to bo." in told
    assert "Everything lies where it belongs." in told
    assert "worker\tan to bo\tdone" in line.run("reassign", "list").output
    assert "Everything" in line.run("reassign", "watch").output
    line.run("reassign", "worker", "an", "an", code=1)
    line.run("reassign", "unit", "nowhere", "neither", code=1)


def test_rules_are_looked_over_before_they_are_in_force(line: Line, tmp_path: Path) -> None:
    from sync.cases.catalogue import DATA

    path = tmp_path / "rules.toml"
    path.write_text((DATA / "rules_default.toml").read_text("utf-8"))
    line.run("rules", "lint", str(path))
    assert "0 open cases" in line.run("rules", "dry-run", str(path)).output
    assert "in force" in line.run("rules", "activate", str(path)).output
    path.write_text("[[ladders]]\n")
    line.run("rules", "dry-run", str(path), code=1)
    line.run("rules", "activate", str(path), code=1)


def test_the_contract_is_written_the_same_twice(line: Line, tmp_path: Path) -> None:
    for name in ("one", "two"):
        line.run("export-contract", str(tmp_path / name))
    written = {
        path.relative_to(tmp_path / "one"): path.read_bytes() for path in (tmp_path / "one").rglob("*.json")
    }
    assert {str(path) for path in written} >= {
        "openapi.json",
        "errors.json",
        "catalogue.json",
        "schema/cases.json",
    }
    for path, content in written.items():
        assert (tmp_path / "two" / path).read_bytes() == content
    assert "account_locked" in json.loads(written[next(p for p in written if p.name == "errors.json")])


def test_a_backup_is_made_and_put_back(line: Line, tmp_path: Path) -> None:
    target = str(tmp_path / "b.zip")
    line.run("backup", target)
    line.run("backup", target, code=1)
    line.run("restore", target, code=1)
    assert "epoch" in line.run("restore", target, "--force").output
    line.run("verify")
    line.run("migrate", "--all")
