"""Keys of devices, sealed bundles, and what the clocks of devices said at each contact."""

import sqlalchemy as sa
from alembic import op

revision = "0005_sealed_and_clocks"
down_revision = "0004_erasure"
branch_labels = None
depends_on = None


def _big(name: str, *, null: bool = False) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=null)


def upgrade() -> None:
    """Add both tables and the column; a device that is there already has told nothing yet."""
    op.add_column("device", sa.Column("contacts", sa.Text(), nullable=True))
    op.create_table(
        "device_key",
        _big("pk"),
        sa.Column("id", sa.Text(), nullable=False),
        _big("device_pk"),
        sa.Column("public", sa.LargeBinary(), nullable=False),
        _big("since_at"),
        sa.PrimaryKeyConstraint("pk"),
        sa.UniqueConstraint("id", "device_pk", name="device_key_device"),
    )
    op.create_table(
        "sealed_bundle",
        _big("pk"),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        _big("device_pk", null=True),
        _big("counter", null=True),
        sa.Column("doc_id", sa.Text(), nullable=True),
        sa.Column("carrier", sa.Text(), nullable=False),
        _big("at"),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("pk"),
    )
    op.create_index("sealed_bundle_digest", "sealed_bundle", ["digest"])
    for name, columns, where in (
        ("sealed_bundle_counter", ["device_pk", "counter"], "device_pk is not null"),
        ("sealed_bundle_doc", ["doc_id"], "doc_id is not null"),
    ):
        op.create_index(
            name, "sealed_bundle", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
        )


def downgrade() -> None:
    """Data is never thrown away: restore a backup instead."""
    raise NotImplementedError("Nothing is taken away.")  # refused on purpose, see the docstring
