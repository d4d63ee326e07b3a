"""How far a case has come, for whoever holds its receipt: the word of its status and the next step, nothing else."""

from typing import Any, Final

from server.districts import District
from sync import content
from sync.batch import STATUS_CODES
from sync.cases.catalogue import STATUSES
from sync.store import Reader
from sync.values import SEALED

NEXT: Final[dict[str, tuple[str, str]]] = {
    "submitted": ("等待中心决定是否受理", "The centre decides whether to take it on"),
    "admitted": ("等待分派承办单位", "A unit will be asked to handle it"),
    "dispatched": ("等待承办单位签收", "The unit has to accept it"),
    "returned": ("等待中心改派", "The centre will name another unit"),
    "adjudication": ("等待中心裁定承办单位", "The centre decides which unit handles it"),
    "accepted": ("承办单位将与您联系", "The unit will be in touch with you"),
    "in_mediation": ("调解进行中", "Mediation is under way"),
    "handling": ("正在办理", "It is being handled"),
    "suspended": ("暂时中止,条件具备后继续", "Paused; it goes on when the reason has passed"),
    "agreed": ("等待协议履行", "The agreement is being carried out"),
    "breached": ("等待督促履行或其他途径", "What was agreed is overdue; further steps are prepared"),
    "settled": ("等待报结", "The unit will report it done"),
    "failed": ("将告知您其他解决途径", "You will be told of other ways"),
    "reported": ("等待中心核实", "The centre checks the result with you"),
    "closed": ("将有人回访", "Somebody will ask how things stand"),
    "filed": ("已全部办完", "Everything is done"),
    "declined": ("可按告知的途径办理", "See the other ways you were told of"),
    "referred_out": ("由接收单位继续办理", "The office that received it goes on"),
    "withdrawn": ("如需要可以再次提出", "You can come back with it"),
    "merged": ("与同一事项一并办理", "Handled together with the same matter"),
    "voided": ("如有疑问请联系中心", "Ask the centre if this surprises you"),
}
_LENGTH: Final = 14


def normalised(query_code: str) -> str | None:
    """The code as it was made, however it was typed; None for what cannot be one."""
    text = "".join(letter for letter in query_code.upper() if letter not in " -")
    return text if len(text) == _LENGTH and text.isascii() and text.isalnum() else None


def progress_of(reader: Reader, district: District, code: str) -> dict[str, Any] | None:
    """The status behind a query code in one district.

    None where it is nobody's, and where the case, or one it was merged into, is sealed: of these nothing is told, and a
    receipt in a stranger's hand must not betray that there is one.
    """
    rows = reader.find("query_code", {"digest": district.keys.digest(code.encode())}, limit=1)
    docs = reader.documents_by_pk([rows[0]["case_pk"]]) if rows else []
    doc = docs[0] if docs else None
    hops = 0
    while doc is not None and doc.gone is None and doc.klass < SEALED and hops < 8 and _is_merged(doc.status):
        master = content.whole(doc, district.keys).get("master_case")
        key = content.id_bytes(0, master) if isinstance(master, str) else b""
        above = reader.documents(0, [key])
        if not above or (doc.klass < above[0].klass < SEALED):
            break  # a receipt tells of its own matter only, not of a protected one it went into
        doc = above[0]
        hops += 1
    if doc is None or doc.gone is not None or doc.status is None or doc.klass == SEALED:
        return None
    status = STATUS_CODES[doc.status]
    zh, en = NEXT[status]
    word = STATUSES[status]
    return {"status": status, "status_zh": word.zh, "status_en": word.en, "next_zh": zh, "next_en": en}


def _is_merged(status: int | None) -> bool:
    return status is not None and STATUS_CODES[status] == "merged"
