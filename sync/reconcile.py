"""After a restore: which of the documents a phone holds it may not hold (RC4 of ``PROTOCOL.md``)."""

from typing import Any

from sync import content
from sync.config import Config
from sync.errors import BadRequest, Conflict
from sync.pull import Caller
from sync.store import Reader
from sync.values import Collection, Level
from sync.visibility import FOLLOWERS, Relation, Viewer

IDS_MAX = 10_000


class ForeignEpoch(Conflict):
    """The server has been restored again since: begin again with what is to be pushed."""

    code = "foreign_epoch"


def answer(
    reader: Reader, config: Config, caller: Caller, collection: Collection, asked: Any
) -> dict[str, Any]:
    """`{epoch, ids}` → `{epoch, head, gone}`; unknown and invisible ids are told alike. Raises ``ForeignEpoch``."""
    if not isinstance(asked, dict) or not isinstance(asked.get("ids"), list):
        raise BadRequest("正文应为 {epoch, ids}。")
    ids = asked["ids"]
    if len(ids) > IDS_MAX or not all(isinstance(item, str) for item in ids):
        raise BadRequest(f"ids 应为至多 {IDS_MAX} 个文档编号。")
    head = reader.head()
    if asked.get("epoch") != head.epoch:
        raise ForeignEpoch(epoch=head.epoch)
    keys: dict[bytes, str] = {}
    gone: list[str] = []
    for text in ids:
        try:
            keys[content.id_bytes(collection, text)] = text
        except ValueError:
            gone.append(text)
    cases = collection in FOLLOWERS or collection == Collection.cases
    namings = reader.namings(users=[caller.user_pk]) if cases else []
    viewer = Viewer.of(caller.user_pk, config.holds(caller.user_pk), namings, caller.registered)
    seen = {
        doc.id
        for doc in reader.documents(collection, list(keys))
        if Relation(viewer, doc).level(head.seq) != Level.none
    }
    gone += [text for key, text in keys.items() if key not in seen]
    return {"epoch": head.epoch, "head": head.seq, "gone": gone}
