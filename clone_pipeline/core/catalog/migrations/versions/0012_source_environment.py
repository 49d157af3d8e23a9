"""A source may be in another environment: then its key is of another catalog."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("clones", sa.Column("source_environment", sa.String(64)))
