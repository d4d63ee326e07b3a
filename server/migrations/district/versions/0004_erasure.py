"""Legal erasures: asked for by one person, decided by another."""

import sqlalchemy as sa
from alembic import op

revision = "0004_erasure"
down_revision = "0003_reassignment"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "erasure",
        sa.Column("pk", _BIG, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("seq", _BIG, nullable=False),
        sa.Column("at", _BIG, nullable=False),
        sa.Column("collection", sa.SmallInteger(), nullable=False),
        sa.Column("doc_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", _BIG, nullable=True),
        sa.Column("ids", sa.Text(), nullable=False),
        sa.Column("swept", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("pk"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("erasure_state", "erasure", ["state", "swept"], unique=False)


def downgrade() -> None:
    """Data is never thrown away: restore a backup instead."""
    raise NotImplementedError("There is no way back from this revision.")  # refused on purpose
