"""Slices of one clone may be worked on by several processes, each of which claims those it has."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("clones", sa.Column("offered", sa.String(16)))
    op.add_column("clones", sa.Column("paced_until", sa.DateTime(timezone=True)))
    claim = sa.Column("claim", sa.Integer, nullable=False, server_default="0")
    op.add_column("clone_slices", claim)
    op.add_column("clone_slices", sa.Column("holder_host", sa.Text))
    op.add_column("clone_slices", sa.Column("holder_pid", sa.Integer))
    op.add_column("clone_slices", sa.Column("holder_started", sa.Float))
    op.add_column("clone_slices", sa.Column("heartbeat_at", sa.DateTime(timezone=True)))
    op.add_column("clone_slices", sa.Column("worked", sa.JSON))
    op.add_column("clone_slices", sa.Column("proof", sa.JSON))
