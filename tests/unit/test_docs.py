"""The documents say what the program does.

Rule numbers are held against those who cite them, the examples of the protocol are sent to the real core and its
answers compared, tables that are read off the program must be up to date, and every path, command and setting that is
named has to exist.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.dom import minidom

import jsonschema_rs
import msgspec
import pytest

from scripts import contract_tables
from server.app import create_app
from server.pokes import Hub
from server.routes.sessions import SignInBody
from server.settings import PREFIX, Settings
from server.signing import SealingKeys
from sync import digest, hello, pull as pulling, receipts, reconcile
from sync.cases.acts import checked_args, find_act
from sync.cases.calendars import parse_calendar
from sync.cases.model import checked
from sync.cases.rules_lint import lint
from sync.cases.rulesets import parse_rules
from sync.cases.schema import json_schema
from sync.hand_in import hand_in_work
from sync.push_body import parse
from sync.sealed import open_bundle
from sync.tables import DirectoryRow, DistrictRow
from sync.values import Collection
from tests.simulation.world import CELLS, DISTRICT, World
from tests.unit.sync.sealing import Sealer

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PROTOCOL = ROOT / "sync" / "PROTOCOL.md"
DOCUMENTS = sorted(
    [
        *(ROOT / name for name in ("README.md", "README.zh-CN.md", "CHANGELOG.md", "CONTRIBUTING.md")),
        *(ROOT / "docs").rglob("*.md"),
        PROTOCOL,
    ]
)
_RULE = re.compile(r"\b(?:ST|VI|MA|PC|PL|PU|ME|QU|AU|RC|ER|ES|FL|CL|SE|RE|FI|EV|DG)\d+(?:\.\d+)?\b")
_RANGE = re.compile(rf"{_RULE.pattern}[–-]{_RULE.pattern}")
# What differs from run to run, and is compared by its kind only.
_MOVING = frozenset({"v", "s", "h", "r", "n", "head", "registered_seq", "received_at", "sum"})


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=named)


@cache
def sources() -> dict[str, str]:
    """Code and tests by path, this file left out."""
    found: dict[str, str] = {}
    for folder in ("geo", "sync", "server", "tests", "bench", "scripts"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".mjs"} and "node_modules" not in path.parts and path != Path(__file__):
                found[named(path)] = text_of(path)
    return found


@cache
def blocks(path: Path, language: str) -> dict[str, str]:
    """The fenced blocks that have a name."""
    return dict(re.findall(rf"```{language} ([\w-]+)\n(.*?)```", text_of(path), re.DOTALL))


def example(name: str) -> Any:
    return json.loads(blocks(PROTOCOL, "json")[name])


# --- rules -----------------------------------------------------------------------------------------------------------


def rules() -> list[str]:
    return re.findall(rf"^\| ({_RULE.pattern}) \|", text_of(PROTOCOL), re.MULTILINE)


def test_rules_are_numbered_without_gaps_and_in_order() -> None:
    numbers: dict[str, list[int]] = {}
    for rule in rules():
        numbers.setdefault(rule[:2], []).append(int(rule[2:]))
    assert numbers
    for prefix, found in numbers.items():
        assert found == list(range(1, len(found) + 1)), prefix


def test_every_rule_that_is_cited_stands_in_the_protocol() -> None:
    known = set(rules())
    texts = sources() | {named(path): text_of(path) for path in DOCUMENTS}
    unknown = {
        (name, rule) for name, text in texts.items() for rule in _RULE.findall(text) if rule not in known
    }
    assert not unknown


def test_every_rule_is_cited_by_the_code_that_keeps_it_or_by_a_test() -> None:
    # A range at the head of a file says where to read on; it cites nothing.
    cited = {rule for text in sources().values() for rule in _RULE.findall(_RANGE.sub("", text))}
    assert set(rules()) - cited == set()


# --- the examples of the protocol ------------------------------------------------------------------------------------


@pytest.fixture
def world() -> Iterator[World]:
    """Two workers of one cell, an and bo, each with a phone."""
    made = World(0)
    for user, phone in (("an", "phone-1"), ("bo", "phone-2")):
        made.grant(user, "grid_worker", cell=CELLS[0])
        made.register(phone, user)
    yield made
    made.close()


def agrees(told: Any, found: Any, where: str = "") -> None:
    """What the document shows is in what the server says; it may leave out fields of an object."""
    if isinstance(told, dict):
        assert isinstance(found, dict), where
        for name, value in told.items():
            assert name in found, f"{where}.{name}"
            if name in _MOVING:
                assert type(value) is type(found[name]), f"{where}.{name}"
            else:
                agrees(value, found[name], f"{where}.{name}")
    elif isinstance(told, list):
        assert isinstance(found, list), where
        assert len(told) == len(found), where
        for number, (one, other) in enumerate(zip(told, found, strict=True)):
            agrees(one, other, f"{where}[{number}]")
    else:
        assert told == found, where


def push(world: World, phone: str, user: str, collection: str, rows: Any) -> Any:
    return json.loads(world.push(phone, user, collection, json.dumps(rows).encode())[1])


def page(world: World, checkpoint: Any) -> Any:
    return json.loads(world.pull("phone-2", "bo", "cases", checkpoint, example("pull-request")["limit"])[1])


def test_a_capture_is_answered_and_pulled_as_the_protocol_shows(world: World) -> None:
    agrees(example("push-answer"), push(world, "phone-1", "an", "cases", example("push-request")))
    found = page(world, example("pull-request")["checkpoint"])
    agrees(example("pull-answer"), found)
    assert set(example("pull-answer")["checkpoint"]) == set(found["checkpoint"])


def test_the_checkpoint_of_the_protocol_has_every_key_and_is_understood() -> None:
    shown = example("pull-answer")["checkpoint"]
    assert (
        *shown,
        "f",
    ) == pulling.Checkpoint.__struct_fields__  # `f` for clients that tell their version (EV5)
    read = pulling.read_checkpoint(shown, district=DISTRICT, user=shown["u"], epoch=1, head=shown["s"])
    assert msgspec.to_builtins(read) == shown


def test_a_refused_act_comes_back_as_the_protocol_shows(world: World) -> None:
    push(world, "phone-1", "an", "cases", example("push-request"))
    agrees(example("act-answer"), push(world, "phone-1", "an", "entries", example("act-request")))


def test_a_case_that_leaves_the_cell_is_the_tombstone_of_the_protocol_and_reconciled_away(
    world: World,
) -> None:
    [row] = example("push-request")
    push(world, "phone-1", "an", "cases", [row])
    held = page(world, None)["checkpoint"]
    world.now += 2 * pulling.OVERLAP_MS
    world.move(row["newDocumentState"]["id"], CELLS[3])
    assert page(world, held)["documents"] == [example("tombstone")]
    with world.store.read() as reader:
        answer = reconcile.answer(
            reader,
            world.configs.get(reader),
            world.caller("phone-2", "bo"),
            Collection.cases,
            example("reconcile-request"),
            keys=world.keys,
        )
    agrees(example("reconcile-answer"), answer)


def test_hello_answers_as_the_protocol_shows(world: World) -> None:
    push(world, "phone-1", "an", "cases", example("push-request"))
    told = example("hello-request") | {"cursors": {"cases": world.head()}}
    with world.store.read() as reader:
        config = world.configs.get(reader)
        caller = world.caller("phone-1", "an")
        answer = hello.answer(reader, config, caller, told, wall=world.now, monotonic=0, words={})
    agrees(example("hello-answer"), answer)


def test_a_receipt_vouches_for_the_capture_as_the_protocol_shows(world: World) -> None:
    push(world, "phone-1", "an", "cases", example("push-request"))
    asked = msgspec.convert(example("receipt-request"), receipts.Asked)
    caller, shown = world.caller("phone-1", "an"), example("receipt")
    with world.store.read() as reader:
        device = receipts.device_of(reader, caller.user_pk, caller.device_id, asked)
        made = receipts.receipt(reader, DISTRICT, caller.user_id, device, asked.writes, wall=shown["at"])
    agrees(shown, msgspec.to_builtins(made))
    assert receipts.read(json.dumps(shown)).writes[0].digest == made.writes[0].digest


def test_a_statement_sealed_as_the_protocol_says_is_filed(world: World) -> None:
    keys = SealingKeys(bytes(32))
    caller, said = world.caller("phone-1", "an"), example("sealed-statement")
    phone = Sealer(DISTRICT, keys, said["author"], said["device"])
    bundle = phone.seal(said["document"], **{name: said[name] for name in ("counter", "captured_at")})
    assert set(json.loads(bundle)) == set(example("sealed-bundle"))
    told = example("hello-request") | {"sign_key": phone.sign_key}
    world.commit(hello.remember(caller.device_pk, told, at=world.now))

    def opener(key: str, sealed: bytes, info: bytes) -> bytes | None:
        return keys.open(key, sealed, info, newest=1)

    world.commit(hand_in_work([open_bundle(bundle, DISTRICT, opener)]))
    [held] = page(world, None)["documents"]
    assert (held["author"], held["title"]) == (said["author"], said["document"]["title"])


def test_digests_and_what_heals_are_answered_as_the_protocol_shows(world: World) -> None:
    push(world, "phone-1", "an", "cases", example("push-request"))
    with world.store.read() as reader:
        asked = (reader, world.configs.get(reader), world.caller("phone-2", "bo"), Collection.cases)
        sums = digest.of_ranges(*asked, example("digest-request"))
        healed = reconcile.answer(*asked, example("heal-request"), keys=world.keys)
    [held] = page(world, None)["documents"]
    agrees(example("digest-answer"), sums)
    agrees(example("heal-answer"), json.loads(msgspec.json.encode(healed)))

    def shown(v: int) -> str:
        """DG1, as a maker of another client would read it."""
        return hashlib.sha256(f"{held['id']}:{v}".encode()).hexdigest()[:16]

    assert sums["ranges"]["1"]["sum"] == shown(held["v"])
    assert example("digest-answer")["ranges"]["1"]["sum"] == shown(example("push-answer")[0]["v"])


def test_a_row_of_an_older_version_is_read_as_the_protocol_shows() -> None:
    [row] = parse(Collection.files, blocks(PROTOCOL, "json")["push-of-an-older-row"].encode())
    assert (row.fault, row.checked.usable, row.checked.issues) == (None, True, [])


@pytest.mark.anyio
async def test_the_first_poke_is_that_of_the_protocol() -> None:
    async def stands() -> bool:
        return True

    stream = Hub().stream(DISTRICT, 1, example("poke")["head"], 60_000, stands)
    await anext(stream)  # how long to wait before the next stream
    event = (await anext(stream)).decode()
    await stream.aclose()
    assert event.startswith("event: RESYNC\n")
    assert json.loads(event.partition("data: ")[2]) == example("poke")


@pytest.mark.parametrize(("name", "collection"), [("push-request", "cases"), ("act-request", "entries")])
def test_pushed_examples_are_rows_without_fault_or_issue(name: str, collection: str) -> None:
    for row in parse(Collection[collection], blocks(PROTOCOL, "json")[name].encode()):
        assert row.fault is None
        result = checked(collection, row.doc)
        assert result.usable
        assert (result.issues, result.rest) == ([], {})


@pytest.mark.parametrize(
    ("name", "collection"),
    [("push-answer", "cases"), ("act-answer", "entries"), ("pull-answer", "cases"), ("tombstone", "cases")],
)
def test_documents_of_the_examples_fit_the_published_schema(name: str, collection: str) -> None:
    shown = example(name)
    documents = shown.get("documents", [shown]) if isinstance(shown, dict) else shown
    validator = jsonschema_rs.validator_for(json_schema(collection))
    for document in documents:
        validator.validate(document)


# --- the contract, rules, names --------------------------------------------------------------------------------------


def test_the_tables_of_the_contract_are_those_of_the_program() -> None:
    text = text_of(contract_tables.CONTRACT)
    assert contract_tables.written(text) == text, "run: python -m scripts.contract_tables"


def test_the_examples_of_the_contract_are_taken() -> None:
    shown = {name: json.loads(text) for name, text in blocks(contract_tables.CONTRACT, "json").items()}
    assert msgspec.convert(shown["sign-in"], SignInBody).device.id
    capture = checked("cases", shown["capture"])
    assert (capture.usable, capture.issues, capture.rest) == (True, [], {})
    case = {"kind": "dispute", "status": "submitted"}
    rule = find_act(case, shown["act"]["act"])
    assert rule is not None
    args = {name: value for name, value in shown["act"].items() if name != "act"}
    assert checked_args(rule, args, case) == args


def test_the_rules_and_the_calendar_that_are_shown_can_be_activated() -> None:
    shown = blocks(ROOT / "docs" / "rules.md", "toml")
    assert lint(parse_rules(shown["rules"]), {"office": parse_calendar(shown["calendar"])}) == []


def test_the_architecture_names_every_table_and_no_other() -> None:
    text = text_of(ROOT / "docs" / "architecture.md")
    listed = text[text.index("| table | holds |") : text.index("Personal values are sealed")]
    cells = re.findall(r"^\| (`.*?) \|", listed, re.MULTILINE)
    names = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(names) == sorted([*DistrictRow.metadata.tables, *DirectoryRow.metadata.tables])


@each_document
def test_what_is_linked_is_there(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", text_of(path))
    gone = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert gone == []


@each_document
def test_files_that_are_named_exist(path: Path) -> None:
    made = ("web/dist", "web/node_modules", "bench/results.json")  # by a build or a run, not kept
    rooms = r"`((?:geo|sync|server|tests|web|docs|scripts|bench)/[\w./*-]+)`"
    names = [name for name in re.findall(rooms, text_of(path)) if not name.startswith(made)]
    assert [name for name in names if not list(ROOT.glob(name.rstrip("/")))] == []


def test_every_work_that_the_architecture_names_is_a_function() -> None:
    text = text_of(ROOT / "docs" / "architecture.md")
    table = text[text.index("| writer | work | in |") : text.index("A district has one writer thread")]
    works = re.findall(r"`([a-z_]+)`", table)
    assert works
    assert [name for name in works if not any(f"def {name}(" in text for text in sources().values())] == []


@each_document
def test_commands_and_targets_that_are_named_exist(path: Path) -> None:
    text = text_of(path)
    targets = set(re.findall(r"^(\w+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z]+)", text, re.MULTILINE)) <= targets
    known = {name.removeprefix("wangge ") for name, _ in contract_tables.commands()}
    groups = {name.split(" ")[0] for name in known if " " in name}
    for first, second in re.findall(
        r"(?:`|^|bin/|app )wangge ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", text, re.MULTILINE
    ):
        if first in groups:
            assert not second or f"{first} {second}" in known, f"{first} {second}"
        else:
            assert first in known, first


@each_document
def test_settings_that_are_named_exist(path: Path) -> None:
    outside = "".join(text_of(ROOT / name) for name in ("docker-compose.yml", "Makefile"))
    known = {PREFIX + name.upper() for name in Settings.__struct_fields__} | {f"{PREFIX}CONFIG"}
    named_here = set(re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]", text_of(path)))
    assert {name for name in named_here - known if name not in outside} == set()


def test_the_figures_to_watch_are_figures_of_the_program() -> None:
    app = create_app(Settings(purpose="test"), jobs=[])
    told = app.state.runtime.metrics.text() + "".join(sources().values())
    for name in re.findall(r"`(wangge_\w+)`", text_of(ROOT / "docs" / "operate.md")):
        assert f'"{name}"' in told, name


@each_document
def test_no_document_names_a_folder_of_somebody_s_machine(path: Path) -> None:
    assert not re.search(r"(?<![\w.])/(?:root|home|tmp|work|Users)/", text_of(path))


def test_both_readmes_tell_the_same_in_the_same_order() -> None:
    english, chinese = text_of(ROOT / "README.md"), text_of(ROOT / "README.zh-CN.md")
    for pattern in (r"^#+ ", r"^\d\. ", r"^\|", r"^make \w+", r"\]\(((?:docs|sync|LICENSE|C)[^)]*)\)"):
        assert re.findall(pattern, english, re.MULTILINE) == re.findall(pattern, chinese, re.MULTILINE)


def test_the_picture_is_drawn_and_described_in_both_languages() -> None:
    picture = minidom.parse(str(ROOT / "docs" / "pictures" / "way.svg"))  # noqa: S318  # our own file
    title = picture.getElementsByTagName("title")[0].firstChild
    assert title is not None
    assert re.search(r"[a-z]", title.toxml())
    assert re.search(r"[一-鿿]", title.toxml())
