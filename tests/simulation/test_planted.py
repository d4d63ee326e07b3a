"""Each planted bug is noticed: what the simulation proves is worth as much as what it would not let pass."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.planted import BUGS, Bug

ROOT = Path(__file__).parents[2]
TRAPS = "tests/simulation/test_traps.py"


def copy_of_the_core(folder: Path) -> None:
    leave = shutil.ignore_patterns("__pycache__", ".*")
    for name in ("sync", "geo", "tests/simulation"):
        shutil.copytree(ROOT / name, folder / name, ignore=leave)
    (folder / "tests" / "__init__.py").touch()


def plant(bug: Bug, folder: Path) -> None:
    for edit in bug.edits:
        path = folder / edit.file
        text = path.read_text()
        assert text.count(edit.old) == 1, f"{edit.file} no longer holds, or no longer once: {edit.old!r}"
        path.write_text(text.replace(edit.old, edit.new))


def run_in(folder: Path, caught_by: int | str) -> subprocess.CompletedProcess[str]:
    if isinstance(caught_by, int):
        words = ["-m", "tests.simulation", "0", str(caught_by)]
    elif caught_by.startswith("town:"):
        first, _, after = caught_by.removeprefix("town:").rpartition("-")
        words = ["-m", "tests.simulation", first or "0", after, "town"]
    else:
        words = [
            "-m",
            "pytest",
            "-q",
            "-x",
            "-c",
            os.devnull,
            "--rootdir",
            str(folder),
            "--import-mode=importlib",
        ]
        words += ["-p", "no:cacheprovider", "-p", "no:xdist", TRAPS, "-k", caught_by]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    for name in [name for name in environment if name.startswith(("PYTEST_", "COV_"))]:
        del environment[name]
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_noticed(bug: Bug, tmp_path: Path) -> None:
    copy_of_the_core(tmp_path)
    plant(bug, tmp_path)
    run = run_in(tmp_path, bug.caught_by)
    told = run.stdout + run.stderr
    assert run.returncode == 1, f"not noticed: {told[-2000:]}"
    assert "seed " in told or "failed" in told, told[-2000:]  # an invariant broke, not the import


def test_without_a_bug_the_copy_holds(tmp_path: Path) -> None:
    copy_of_the_core(tmp_path)
    assert run_in(tmp_path, 3).returncode == 0
    assert run_in(tmp_path, "test_").returncode == 0
