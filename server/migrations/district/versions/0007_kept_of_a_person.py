"""What was put aside of one person is found without looking at everybody's."""

import sqlalchemy as sa
from alembic import op

revision = "0007_kept_of_a_person"
down_revision = "0006_uploads"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index: each phone asks at each contact."""
    op.create_index(
        "quarantine_user",
        "quarantine",
        ["user_pk", "state"],
        unique=False,
        sqlite_where=sa.text("user_pk is not null"),
        postgresql_where=sa.text("user_pk is not null"),
    )


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("quarantine_user", "quarantine")
