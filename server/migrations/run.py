"""Runs the two trees of migrations: ``directory`` and ``district``.

Each revision runs inside one transaction of the given engine, whose every connection already looks into the right
schema, so no revision names one.
"""

from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

Tree = Literal["directory", "district"]
_HERE = Path(__file__).parent


def config_of(tree: Tree, connection: Connection | None = None) -> Config:
    """The configuration of one tree, bound to `connection`."""
    config = Config()
    config.set_main_option("script_location", str(_HERE / tree).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def newest(tree: Tree) -> str:
    """The newest revision that this program knows."""
    head = ScriptDirectory.from_config(config_of(tree)).get_current_head()
    if head is None:
        raise LookupError(f"The migrations of {tree} are missing.")
    return head


def upgrade(engine: Engine, tree: Tree, revision: str = "head") -> None:
    """Bring the database behind `engine` to the newest revision, or to `revision`, all or nothing."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("begin immediate")
            try:
                command.upgrade(config_of(tree, connection), revision)
            except BaseException:
                connection.exec_driver_sql("rollback")
                raise
            connection.exec_driver_sql("commit")
        else:
            with connection.begin():
                command.upgrade(config_of(tree, connection), revision)
