"""The tick: whatever is due takes effect, once, whoever ticks and whenever.

Truth is the next-due index of ``case_clocks``; a tick with nothing due costs one look-up. A firing's key is unique, and
it is written in the transaction that raises the level, so that a killed tick leaves all of it or nothing.
"""

from msgspec import Struct

from sync import timing
from sync.batch import Batch
from sync.commit import Context, Work, write
from sync.facts import Facts, load_cases
from sync.store import Reader, Tx

CASES_A_TICK = 200


class Ticked(Struct, frozen=True):
    """What a tick did: cases looked at, firings that took effect, and whether more is due."""

    cases: int
    fired: int
    more: bool


def nearest_due(reader: Reader) -> int | None:
    """The next instant at which something is due in the district."""
    rows = reader.find("case_clocks", {"next_due__gt": 0}, order=["next_due"], limit=1, columns=["next_due"])
    return rows[0]["next_due"] if rows else None


def tick_work(limit: int = CASES_A_TICK) -> Work[Ticked]:
    """Fire what is due now, for at most `limit` cases, the longest overdue first."""

    def work(tx: Tx, context: Context) -> Ticked:
        due = tx.find(
            "case_clocks", {"next_due__le": context.now}, order=["next_due"], limit=limit, columns=["case_pk"]
        )
        if not due:
            return Ticked(0, 0, more=False)
        facts = Facts(tx.head(), context.configs.get(tx), context.keys)
        docs = facts.learn(tx.documents_by_pk([row["case_pk"] for row in due]))
        load_cases(tx, facts, docs)
        batch = Batch(
            facts.head, now=context.now, chance=context.chance, keys=context.keys, actor=None, device=None
        )
        for doc in docs:
            if doc.gone is not None:
                batch.clocks[doc.pk] = {"case_pk": doc.pk, "next_due": None, "state": facts.clocks[doc.pk]}
                continue
            case = batch.take(doc)
            state = timing.fire_due(batch, facts, case, timing.state_of(batch, facts, case))
            timing.keep(batch, facts, case, state)
        write(tx, batch, context, "tick")
        return Ticked(len(docs), len(batch.firings), more=len(due) == limit)

    return work
