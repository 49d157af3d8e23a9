"""Which namespaces `load` made, so that they can be deleted again; and how far a proof is.

Of those that were loaded before nobody knows: they count as the platform's own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("namespaces", sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("clones", sa.Column("points_proven", sa.BigInteger(), nullable=True))
