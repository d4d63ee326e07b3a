"""What the centre does with files that wait: they are hung where their author does not see.

A file stays the one that its author wrote, under its own id and key, so that its bytes stay its own, those that are
here already and those that are still on his phone (FI11).
"""

from collections.abc import Sequence

from sync import content
from sync.administration import new_batch
from sync.commit import Context, write
from sync.errors import NotFound
from sync.facts import Facts
from sync.parents import hang_file, owner_of
from sync.pull import Caller
from sync.push_cases import claims
from sync.push_facts import load_parents
from sync.store import Reader, Tx
from sync.values import Collection, Doc, Keys


def owner_behind(reader: Reader, keys: Keys, owner: str) -> str:
    """What a file hangs on that shows an entry which waits: the case that one names; else what the file names."""
    found = reader.documents(Collection.entries, [content.id_bytes(Collection.entries, owner)])
    if not found or found[0].gone is not None or found[0].own_since is None:
        return owner
    return str(content.whole(found[0], keys)["case_id"])


def waiting_for(reader: Reader, entry: Doc) -> list[Doc]:
    """The files that wait for this entry."""
    rows = reader.find("waiting", {"case_id": entry.id, "linked": False}, columns=["entry_pk"])
    docs = reader.documents_by_pk([row["entry_pk"] for row in rows])
    return [doc for doc in docs if doc.collection == Collection.files and doc.own_since is not None]


def hang(tx: Tx, context: Context, caller: Caller, files: Sequence[Doc], owner: str) -> None:
    """Hang waiting files on a case, visit or entry that the caller sees, in his name; raises ``NotFound`` for others.

    Who took them stands beside them as an issue; whose bytes they are to take stays as it is.
    """
    facts = Facts(tx.head(), context.configs.get(tx), context.keys)
    facts.learn(files)
    load_parents(tx, facts, {content.id_bytes(Collection.cases, owner)})
    batch = new_batch(tx, context, actor=caller.user_pk, device=caller.device_pk)
    case, least = owner_of(batch, facts, caller.user_pk, owner)
    if case is None:
        raise NotFound
    for doc in files:
        file = batch.take(doc)
        issues = [*(file.values.get("issues") or ()), *claims({"author": file.values.get("author")}, caller)]
        hang_file(batch, file, case, least)
        batch.set(
            file, {"owner_id": owner, "author": caller.user_id, "device": caller.device_id, "issues": issues}
        )
    write(tx, batch, context, "files.hang")
