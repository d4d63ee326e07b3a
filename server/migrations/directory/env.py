"""Runs revisions of the directory on the connection it is given; offline scripts are not made."""

from alembic import context

from sync.tables import DirectoryRow

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=DirectoryRow.metadata,
    transactional_ddl=False,  # the caller holds the transaction
    compare_type=True,
)
context.run_migrations()
