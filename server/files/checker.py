"""The process that reads what strangers have sent: little memory, little time, no files, nothing to tell but a verdict.

It takes the kind as its only word and the bytes on standard input. It answers on standard output: the length of a JSON
head in four bytes, the head, and what it names (the bytes to keep, the small picture).
"""

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from server.files.verdicts import Checked, Refused, Unjudged

MEMORY_MAX: Final = (
    1 << 30
)  # of addresses: a picture of 30 million pixels, turned upright and written anew, takes most of it
SECONDS: Final = 30
_PATIENCE: Final = 90  # seconds of real time, on a machine that has other things to do
_ROOT: Final = Path(__file__).resolve().parents[2]
_START: Final = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from server.files.checker import main; main()"
)
_PAPERS: Final = frozenset({"scan", "signature", "roster", "document"})


def check_apart(kind: str, data: bytes) -> Checked:
    """The verdict on `data` from a process of its own; blocking. Raises ``Refused``; ``Unjudged`` for no verdict.

    A process that dies, or takes too long, says nothing of the bytes: whoever restarts a service ends all its
    processes, and a machine without memory ends the largest.
    """
    command = [sys.executable, "-I", "-c", _START, str(_ROOT), kind]
    try:
        done = subprocess.run(  # noqa: S603  # ourselves, with a kind from the catalogue
            command,
            input=data,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
            env={},
            cwd="/",
            start_new_session=True,  # what is typed at the terminal of the server is not for it
        )
    except subprocess.TimeoutExpired as error:
        raise Unjudged from error
    size = int.from_bytes(done.stdout[:4], "big")
    if done.returncode != 0 or not size:
        raise Unjudged
    head: dict[str, Any] = json.loads(done.stdout[4 : 4 + size])
    if "reason" in head:
        raise Refused(head["reason"])
    cut = 4 + size + head["size"]
    if not head["size"]:
        return Checked(head["mime"], data, seconds=head["seconds"])
    return Checked(head["mime"], done.stdout[4 + size : cut], done.stdout[cut:], head["seconds"])


def check(kind: str, data: bytes) -> Checked:
    """The verdict itself, in this process; raises ``Refused``."""
    if kind == "voice":
        from server.files import sounds

        return sounds.check(data)
    if kind in _PAPERS and data.startswith(b"%PDF-"):
        if b"%%EOF" not in data[-2048:]:
            raise Refused("damaged")
        return Checked("application/pdf", data)
    from server.files import images

    return images.check(data)


def main() -> None:
    """Read, check, answer."""
    kind = sys.argv[1]
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY_MAX),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    data = sys.stdin.buffer.read()
    content = thumbnail = b""
    try:
        checked = check(kind, data)
    except Refused as refused:
        head: dict[str, Any] = {"reason": refused.reason}
    except MemoryError:
        head = {"reason": "not_checked"}
    else:
        # What is kept as it came need not travel back.
        content = b"" if checked.content is data else checked.content
        thumbnail = checked.thumbnail
        head = {"mime": checked.mime, "seconds": checked.seconds, "size": len(content)}
    told = json.dumps(head).encode()
    sys.stdout.buffer.write(len(told).to_bytes(4, "big") + told + content + thumbnail)
