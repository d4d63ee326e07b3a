"""Mergers as rows, and what a person needs to decide on a line of the ledger."""

import re
import uuid

import sqlalchemy as sa
from alembic import op

revision = "0002_mergers_and_reviews"
down_revision = "0001"
branch_labels = None
depends_on = None

_MASTER = re.compile(rb'"master_case":"([0-9a-fA-F-]{36})"')


def _big(name: str, *, nullable: bool) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=nullable)


def upgrade() -> None:
    """Add the table and the columns, and the mergers that stand in documents so far."""
    op.create_table(
        "merger",
        _big("pk", nullable=False),
        _big("case_pk", nullable=False),
        _big("master_pk", nullable=False),
        _big("v_from", nullable=False),
        _big("v_to", nullable=True),
        sa.PrimaryKeyConstraint("pk"),
    )
    op.create_index("merger_case", "merger", ["case_pk"], unique=False)
    op.create_index("merger_master", "merger", ["master_pk"], unique=False)
    for name in ("wrote_at", "other_user", "other_at", "decided_by", "decided_at"):
        op.add_column("ledger", _big(name, nullable=True))
    for name in ("decided", "decision"):
        op.add_column("ledger", sa.Column(name, sa.Text(), nullable=True))
    op.create_index(
        "quarantine_case",
        "quarantine",
        ["case_pk"],
        unique=False,
        sqlite_where=sa.text("case_pk is not null"),
        postgresql_where=sa.text("case_pk is not null"),
    )
    _mergers_so_far()


def _mergers_so_far() -> None:
    connection = op.get_bind()
    document = sa.table(
        "document",
        *(sa.column(name) for name in ("pk", "collection", "id", "gone", "v", "clear")),
    )
    living = sa.select(document.c.pk, document.c.v, document.c.clear).where(
        document.c.collection == 0, document.c.gone.is_(None)
    )
    merger = sa.table("merger", *(sa.column(name) for name in ("case_pk", "master_pk", "v_from", "v_to")))
    for pk, v, clear in connection.execute(living).all():
        found = _MASTER.search(bytes(clear))
        if found is None:
            continue
        key = uuid.UUID(found[1].decode()).bytes
        above = connection.execute(
            sa.select(document.c.pk).where(document.c.collection == 0, document.c.id == key)
        ).scalar()
        if above is not None:
            row = {"case_pk": pk, "master_pk": above, "v_from": v, "v_to": None}
            connection.execute(merger.insert(), [row])


def downgrade() -> None:
    """Data is never thrown away: restore a backup instead."""
    raise NotImplementedError("There is no way back from this revision.")  # refused on purpose
