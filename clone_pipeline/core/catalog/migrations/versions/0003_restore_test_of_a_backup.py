"""What the last restore test of a backup said."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("clones", sa.Column("restore_test", sa.JSON(), nullable=True))
