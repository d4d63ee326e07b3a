"""What each edition moved, so that it can be told and undone; until when an edition was in force."""

import sqlalchemy as sa
from alembic import op

revision = "0009_undone_editions"
down_revision = "0008_kept_parents"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the table and the column. What was moved before is not known, and stays where it is."""
    op.create_table(
        "moved",
        sa.Column("pk", _BIG, nullable=False),
        sa.Column("reassignment", _BIG, nullable=False),
        sa.Column("doc_pk", _BIG, nullable=False),
        sa.Column("source", _BIG, nullable=True),
        sa.Column("target", _BIG, nullable=True),
        sa.PrimaryKeyConstraint("pk"),
    )
    op.create_index("moved_doc", "moved", ["doc_pk", "pk"], unique=False)
    op.add_column("generation", sa.Column("retired_at", _BIG, nullable=True))


def downgrade() -> None:
    """Data is never thrown away: restore a backup instead."""
    raise NotImplementedError("What each edition moved would be lost.")  # refused on purpose
