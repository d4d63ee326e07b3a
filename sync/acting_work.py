"""An act of the console: the same decision as a phone's act entry, answered at once."""

from typing import Any

from msgspec import Struct

from sync import casework, content
from sync.batch import Batch, Item
from sync.cases.lifecycle import Refused
from sync.commit import Context, Work, write
from sync.entry_classes import load_named
from sync.errors import Conflict, Forbidden, NotFound, SyncError, Unprocessable
from sync.facts import Facts, load_cases
from sync.pull import Caller
from sync.store import Tx
from sync.values import Collection, Doc, Level


class ActAnswer(Struct, frozen=True):
    """What an act of the console came to; `query_code` is told once, for the receipt."""

    case_id: str
    status: str
    number: int
    query_code: str | None = None
    entry_id: str | None = None


class ActIllegal(Conflict):
    """This act is not possible at the case's status; `legal` lists those that are."""

    code = "act_illegal"


class OwnWork(Forbidden):
    """Nobody verifies, rules on or approves own work."""

    code = "own_work"


class ActForbidden(Forbidden):
    """This act is not yours to do on this case."""

    code = "act_forbidden"


class ActNeeds(Unprocessable):
    """The act needs something that was not given; `missing` names it."""

    code = "act_needs"


def refusal_error(refusal: Refused) -> SyncError:
    """The error that tells a refusal."""
    told = {"legal": list(refusal.legal), "detail_en": refusal.en}
    if refusal.code == "act_forbidden":
        return ActForbidden(refusal.zh, **told)
    if refusal.code == "own_work":
        return OwnWork(refusal.zh, **told)
    if refusal.code == "act_illegal":
        return ActIllegal(refusal.zh, **told)
    return ActNeeds(refusal.zh, missing=list(refusal.missing), **told)


def case_key(case_id: str) -> bytes:
    """The key of a case id; what is no id is like an unknown one."""
    try:
        return content.id_bytes(Collection.cases, case_id)
    except ValueError:
        raise NotFound from None


# Asked of leaders of a protected case, of which they see no more than that it is there.
_RULING = frozenset({"approve", "refuse"})


def load_for_act(tx: Tx, facts: Facts, keys: list[bytes], user_pk: int) -> list[Doc]:
    """Cases by key with everything an act on them may ask."""
    docs = facts.learn(tx.documents(Collection.cases, keys))
    load_cases(tx, facts, docs)
    for named in tx.namings(users=[user_pk]):
        rows = facts.namings.setdefault(named.case_pk, [])
        if named not in rows:
            rows.append(named)
    facts.series.update({row["name"]: row["value"] for row in tx.find("series")})
    return docs


def seen(facts: Facts, user_pk: int, doc: Doc | None) -> Doc:
    """The document, if this person sees it at all; unknown and invisible are answered alike."""
    if doc is None or doc.gone is not None or facts.level(user_pk, doc) == Level.none:
        raise NotFound
    return doc


def act_work(caller: Caller, case_id: str, act: str, args: dict[str, Any]) -> Work[ActAnswer]:
    """Run `act` on a case for a person at a desk.

    Raises ``NotFound`` before anything else is looked at, then ``ActForbidden``, ``ActIllegal``, ``OwnWork`` or
    ``ActNeeds``; nothing is written then.
    """
    key = case_key(case_id)

    def work(tx: Tx, context: Context) -> ActAnswer:
        facts = Facts(tx.head(), context.configs.get(tx), context.keys)
        keys = [key]
        named = casework.named_case(act, args)
        if named is not None:
            keys.append(named)
        load_for_act(tx, facts, keys, caller.user_pk)
        doc = seen(facts, caller.user_pk, facts.docs.get((Collection.cases, key)))
        if facts.level(caller.user_pk, doc) == Level.shell and act not in _RULING:
            raise ActForbidden
        load_named(tx, facts, [{"args": args}])
        batch = Batch(
            facts.head,
            now=context.now,
            chance=context.chance,
            keys=context.keys,
            actor=caller.user_pk,
            device=caller.device_pk,
        )
        item = batch.take(doc)
        acted = casework.act(
            batch,
            facts,
            item,
            act,
            args,
            user_pk=caller.user_pk,
            other=casework.seen_whole(batch, facts, caller.user_pk, named),
        )
        return finish(tx, context, batch, item, acted, f"act:{act}")

    return work


def finish(
    tx: Tx, context: Context, batch: Batch, item: Item, acted: casework.Acted, action: str
) -> ActAnswer:
    """Write what an act brought, or raise its refusal with nothing written."""
    if acted.refusal is not None:
        raise refusal_error(acted.refusal)
    n = write(tx, batch, context, action)
    return ActAnswer(
        case_id=item.id,
        status=str(item.values.get("status")),
        number=n,
        query_code=acted.query_code,
        entry_id=acted.entry_id,
    )
