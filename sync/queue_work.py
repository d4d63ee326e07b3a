"""An act on a row of the leaders' queue: the row, the case and its clocks change in one commit."""

from typing import Any

from sync import casework
from sync.acting_work import ActAnswer, finish, load_for_act
from sync.batch import Batch
from sync.cases.escalation import LEVEL_ROLES
from sync.commit import Context, Work
from sync.entry_classes import load_named
from sync.errors import NotFound, Unprocessable
from sync.facts import Facts
from sync.leaders import QUEUE_ACTS
from sync.pull import Caller
from sync.recusal import denied
from sync.store import Tx
from sync.values import Doc, Level


def may_see_row(facts: Facts, batch: Batch, user_pk: int, doc: Doc, level: int) -> bool:
    """Whether a row of the queue is this person's to see: somebody who leads at its level or above, not recused."""
    item = batch.take(doc)
    if user_pk in denied(batch, facts, item):
        return False
    roles = casework.roles_on(facts, user_pk, item)
    leads = any(roles & LEVEL_ROLES[step] for step in LEVEL_ROLES if step >= level)
    centre = bool(roles & {"centre_director", "dispatcher", "clerk", "duty_officer"})
    return leads or (centre and facts.level(user_pk, doc) >= Level.plain)


def queue_act_work(caller: Caller, escalation_id: str, act: str, args: dict[str, Any]) -> Work[ActAnswer]:
    """`acknowledge`, `instruct`, `sponsor`, `send_back` or `extend` on a row.

    Raises ``NotFound`` for a row that is not the caller's to see, then as ``act_work`` does.
    """
    if act not in QUEUE_ACTS:
        raise Unprocessable("提级事项只能领办、批示、包案、退回或延期。", missing=["act"])
    given = dict(args)
    if act == "acknowledge" and "promise" not in given and "until" in given:
        given["promise"] = given.pop("until")
    if act == "instruct" and "due" not in given and "due_at" in given:
        given["due"] = given.pop("due_at")

    def work(tx: Tx, context: Context) -> ActAnswer:
        facts = Facts(tx.head(), context.configs.get(tx), context.keys)
        rows = tx.find("escalation", {"id": escalation_id})
        if not rows:
            raise NotFound
        docs = tx.documents_by_pk([rows[0]["case_pk"]])
        load_for_act(tx, facts, [doc.id for doc in docs], caller.user_pk)
        load_named(tx, facts, [{"args": given}])
        doc = facts.by_pk.get(rows[0]["case_pk"])
        batch = Batch(
            facts.head,
            now=context.now,
            chance=context.chance,
            keys=context.keys,
            actor=caller.user_pk,
            device=caller.device_pk,
        )
        if doc is None or doc.gone is not None:
            raise NotFound
        if not may_see_row(facts, batch, caller.user_pk, doc, rows[0]["level"]):
            raise NotFound
        item = batch.take(doc)
        acted = casework.act(batch, facts, item, act, given, user_pk=caller.user_pk, row_id=escalation_id)
        return finish(tx, context, batch, item, acted, f"queue:{act}")

    return work
