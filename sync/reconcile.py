"""What a phone holds, held against what it may hold: after a restore (RC4), and where digests differ (DG3)."""

from typing import Any

from sync import content, digest
from sync.config import Config
from sync.errors import BadRequest, ForeignEpoch
from sync.pull import Caller, viewer_of
from sync.store import Reader
from sync.values import Collection, Keys, Level
from sync.visibility import Relation

IDS_MAX = 10_000


def answer(
    reader: Reader, config: Config, caller: Caller, collection: Collection, asked: Any, *, keys: Keys
) -> dict[str, Any]:
    """`{epoch, ids}` → `{epoch, head, gone}`; unknown and invisible ids are told alike.

    `{epoch, ranges, held}` is answered by ``digest.heal``. Raises ``ForeignEpoch``.
    """
    if isinstance(asked, dict) and "ranges" in asked:
        return digest.heal(reader, config, caller, collection, asked, keys=keys)
    if not isinstance(asked, dict) or not isinstance(asked.get("ids"), list):
        raise BadRequest("正文应为 {epoch, ids}。")
    ids = asked["ids"]
    if len(ids) > IDS_MAX or not all(isinstance(item, str) for item in ids):
        raise BadRequest(f"ids 应为至多 {IDS_MAX} 个文档编号。")
    head = reader.head()
    if asked.get("epoch") != head.epoch:
        raise ForeignEpoch(epoch=head.epoch)
    wanted: dict[bytes, str] = {}
    gone: list[str] = []
    for text in ids:
        try:
            wanted[content.id_bytes(collection, text)] = text
        except ValueError:
            gone.append(text)
    viewer = viewer_of(reader, config, caller, collection)
    seen = {
        doc.id
        for doc in reader.documents(collection, list(wanted))
        if Relation(viewer, doc).level(head.seq) != Level.none
    }
    gone += [text for key, text in wanted.items() if key not in seen]
    return {"epoch": head.epoch, "head": head.seq, "gone": gone}
