"""What is installed is what was tried: pins, locks, and the version of SQLite that may be used."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata

import pysqlite3
from packaging.requirements import Requirement
from packaging.version import Version

from tests.architecture.code import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEPENDENCIES = {Requirement(text).name: Requirement(text) for text in PROJECT["dependencies"]}


def locked(name: str) -> dict[str, Version]:
    """Versions by package of a lock file."""
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", text, re.MULTILINE)
    return {package.lower().replace("_", "-"): Version(version) for package, version in found}


def test_every_dependency_is_locked_at_a_version_it_allows() -> None:
    versions = locked("requirements.lock")
    for name, requirement in DEPENDENCIES.items():
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        assert name.lower() in versions, name
        assert requirement.specifier.contains(versions[name.lower()], prereleases=True), name


def test_what_is_locked_for_use_is_locked_alike_for_work() -> None:
    used, worked = locked("requirements.lock"), locked("requirements-dev.lock")
    assert {name: worked.get(name) for name in used} == used


def test_the_scheduler_stays_below_four_which_is_a_preview() -> None:
    assert DEPENDENCIES["apscheduler"].specifier.contains("3.11.0")
    assert not DEPENDENCIES["apscheduler"].specifier.contains("4.0.0", prereleases=True)


def test_sqlite_comes_with_a_wheel_that_has_no_defect_of_the_log() -> None:
    assert Version(pysqlite3.sqlite_version) >= Version("3.51.3")
    assert Version(metadata.version("pysqlite3")) >= Version("0.6")
    assert "aiosqlite" not in {*locked("requirements.lock"), *DEPENDENCIES}
