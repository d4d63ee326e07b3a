"""What a row that was put aside says it hangs on, and which device handed it in, as far as they are looked for."""

import sqlalchemy as sa
from alembic import op

revision = "0008_kept_parents"
down_revision = "0007_kept_of_a_person"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the two indexes. Of what was put aside before, the payload alone tells."""
    op.add_column("quarantine", sa.Column("parent_id", sa.Text(), nullable=True))
    op.create_index(
        "quarantine_parent",
        "quarantine",
        ["parent_id"],
        unique=False,
        sqlite_where=sa.text("parent_id is not null"),
        postgresql_where=sa.text("parent_id is not null"),
    )
    op.create_index("quarantine_device", "quarantine", ["device", "reason"], unique=False)


def downgrade() -> None:
    """Data is never thrown away: restore a backup instead."""
    raise NotImplementedError("What hangs on what would be lost.")  # refused on purpose
