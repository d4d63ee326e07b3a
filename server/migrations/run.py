"""Runs the two trees of migrations: ``directory`` and ``district``.

Each revision runs inside one transaction of the given engine, whose every connection already looks into the right
schema, so no revision names one.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection, Engine, inspect

from sync.errors import SyncError

if TYPE_CHECKING:
    from alembic.config import Config

Tree = Literal["directory", "district"]
# How many of the newest revisions are served. A district may be one behind, while others are brought up, once nothing
# that this program writes is missing there; the newest revision brings tables of which that is not so.
_SERVED: dict[Tree, int] = {"directory": 1, "district": 1}
_HERE = Path(__file__).parent
_REVISION = re.compile(r'^revision = "(\w+)"$', re.MULTILINE)


class SchemaMismatch(SyncError):
    """The database is at a revision that this program does not serve."""

    code = "schema_mismatch"
    status = 503


def config_of(tree: Tree, connection: Connection | None = None) -> "Config":
    """The configuration of one tree, bound to `connection`."""
    from alembic.config import Config  # not for a server, which only looks at the revision

    config = Config()
    config.set_main_option("script_location", str(_HERE / tree).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def revisions(tree: Tree) -> list[str]:
    """Every revision that this program knows, the newest first, as their files are numbered."""
    files = sorted((_HERE / tree / "versions").glob("*.py"), reverse=True)
    found = [name for path in files for name in _REVISION.findall(path.read_text(encoding="utf-8"))]
    if not found:
        raise LookupError(f"The migrations of {tree} are missing.")
    return found


def newest(tree: Tree) -> str:
    """The newest revision that this program knows."""
    return revisions(tree)[0]


def revision_of(engine: Engine) -> str:
    """The revision that the database behind `engine` is at; "" where none was ever run."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return ""
        rows = connection.exec_driver_sql("select version_num from alembic_version order by version_num")
        return ", ".join(rows.scalars())


def check_known(engine: Engine, tree: Tree, name: str) -> str:
    """The revision of the database called `name`; raises ``SchemaMismatch`` when a newer program has made it."""
    found = revision_of(engine)
    if found and found not in revisions(tree):
        raise SchemaMismatch(
            f"{name} is at revision {found}, which this program does not know: use the program that made it, "
            "or a newer one."
        )
    return found


def check_served(engine: Engine, tree: Tree, name: str) -> None:
    """Raise ``SchemaMismatch`` unless the database called `name` is at a revision that this program serves."""
    found = check_known(engine, tree, name)
    if found not in revisions(tree)[: _SERVED[tree]]:
        raise SchemaMismatch(
            f"{name} is at revision {found or 'none'}, and this program is made for {newest(tree)}: "
            "run `wangge migrate --all`."
        )


def upgrade(engine: Engine, tree: Tree, revision: str = "head") -> None:
    """Bring the database behind `engine` to the newest revision, or to `revision`, all or nothing."""
    from alembic import command  # as above

    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("begin immediate")
            try:
                command.upgrade(config_of(tree, connection), revision)
            except BaseException:  # an interrupt too must not leave half a migration
                connection.exec_driver_sql("rollback")
                raise
            connection.exec_driver_sql("commit")
        else:
            with connection.begin():
                command.upgrade(config_of(tree, connection), revision)
