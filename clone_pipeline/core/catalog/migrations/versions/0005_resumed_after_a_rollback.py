"""A rollback holds the policies that refresh a namespace; this says since when they go on."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("namespaces", sa.Column("resumed_at", sa.DateTime(timezone=True), nullable=True))
