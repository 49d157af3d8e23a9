"""Alembic's entry point. The connection comes from `Catalog.open`, already in a transaction."""

from alembic import context

from clone_pipeline.core.catalog.engine import VERSION_TABLE
from clone_pipeline.core.catalog.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
