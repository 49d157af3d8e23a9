"""Of two attempts at one step that are at work at once, only the last one may write."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "clone_attempts",
        sa.Column("clone_id", sa.String(32), nullable=False),
        sa.Column("step", sa.String(32), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("clone_id", "step", name="pk_clone_attempts"),
        sa.ForeignKeyConstraint(
            ["clone_id"],
            ["clones.clone_id"],
            name="fk_clone_attempts_clone_id",
            ondelete="CASCADE",
        ),
    )
