"""Runs revisions of the district on the connection it is given; offline scripts are not made."""

from alembic import context

from sync.tables import DistrictRow

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=DistrictRow.metadata,
    transactional_ddl=False,  # the caller holds the transaction
    compare_type=True,
)
context.run_migrations()
