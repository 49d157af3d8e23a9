"""The digests of the points of a clone that is refreshed: what the next refresh compares with."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "clone_digests",
        sa.Column("clone_id", sa.String(32), nullable=False),
        sa.Column("slice", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("points", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("clone_id", "slice", name="pk_clone_digests"),
        sa.ForeignKeyConstraint(
            ["clone_id"],
            ["clones.clone_id"],
            name="fk_clone_digests_clone_id",
            ondelete="CASCADE",
        ),
    )
