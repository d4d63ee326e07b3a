"""Writes revision 0001 of both trees from ``sync.tables``: run it when a table changes, until the first release."""

from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext

from sync.tables import DirectoryRow, DistrictRow

HEAD = '''"""The tables of {what}."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table."""
    {up}


def downgrade() -> None:
    """Data is never thrown away: restore a backup instead."""
    raise NotImplementedError("There is nothing before the first revision.")
'''


def render(metadata: sa.MetaData) -> str:
    """The statements that make every table of `metadata`."""
    with sa.create_engine("sqlite://").connect() as connection:
        script = produce_migrations(MigrationContext.configure(connection), metadata)
    if script.upgrade_ops is None:
        raise LookupError("nothing to write")
    code = render_python_code(script.upgrade_ops)
    return "\n".join(line for line in code.splitlines() if "# ###" not in line).lstrip()


def main() -> None:
    """Write both files."""
    trees = Path(__file__).resolve().parent.parent / "server" / "migrations"
    for tree, what, metadata in (
        ("directory", "the directory of districts", DirectoryRow.metadata),
        ("district", "one district", DistrictRow.metadata),
    ):
        path = trees / tree / "versions" / "0001_tables.py"
        path.write_text(HEAD.format(what=what, up=render(metadata)), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
