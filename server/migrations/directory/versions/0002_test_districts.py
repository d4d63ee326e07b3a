"""A district for tests is told from a demo district."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what is there already is for no tests."""
    op.add_column("district", sa.Column("test", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Data is never thrown away: restore a backup instead."""
    raise NotImplementedError("Nothing is taken away.")  # refused on purpose, see the docstring
