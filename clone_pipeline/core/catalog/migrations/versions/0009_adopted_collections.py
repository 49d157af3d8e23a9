"""Which namespaces stand for a Qdrant collection of somebody else's, and the aliases of clones."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("namespaces", sa.Column("adopted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("namespaces", sa.Column("qdrant_alias", sa.Text(), nullable=True))
