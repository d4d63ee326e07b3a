"""The district's own list of addresses, and what they are found by."""

import sqlalchemy as sa
from alembic import op

revision = "0010_addresses"
down_revision = "0009_undone_editions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables, empty."""
    op.create_table(
        "address",
        sa.Column(
            "pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, nullable=False
        ),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("plain", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("lon", sa.Integer(), nullable=False),
        sa.Column("lat", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.UniqueConstraint("plain", "kind", name="address_plain"),
    )
    op.create_index("address_place", "address", ["lat", "lon"], unique=False)
    op.create_table(
        "address_pair",
        sa.Column("pair", sa.Text(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("places", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pair", "part"),
    )


def downgrade() -> None:
    """Data is never thrown away: restore a backup instead."""
    raise NotImplementedError("The list of addresses would be lost.")  # refused on purpose
