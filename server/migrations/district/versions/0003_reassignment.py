"""Mass re-assignments, and the unit that has another one's cells."""

import sqlalchemy as sa
from alembic import op

revision = "0003_reassignment"
down_revision = "0002_mergers_and_reviews"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table; a re-assignment that is under way goes on in it, from the beginning: it moves nothing twice."""
    op.create_table(
        "reassignment",
        sa.Column("pk", _BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", _BIG, nullable=True),
        sa.Column("target", _BIG, nullable=True),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("asked_at", _BIG, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("after", _BIG, nullable=False),
        sa.Column("upto", _BIG, nullable=False),
        sa.Column("moved", _BIG, nullable=False),
        sa.Column("ended_at", _BIG, nullable=True),
        sa.PrimaryKeyConstraint("pk"),
    )
    op.create_index("reassignment_state", "reassignment", ["state", "pk"], unique=False)
    op.add_column("unit", sa.Column("successor", sa.Text(), nullable=True))
    # Homes and visits of cells that vanished in an earlier edition have never followed: they are looked at once.
    op.execute(
        'insert into reassignment (kind, plan, asked_at, actor, state, "after", upto, moved) '
        "select 'edition', '{}', 0, 'migration', 'running', 0, next_pk - 1, 0 from clock "
        "where exists (select 1 from generation where state = 'active')"
    )


def downgrade() -> None:
    """Data is never thrown away: restore a backup instead."""
    raise NotImplementedError("There is no way back from this revision.")  # refused on purpose
