"""Backups as archives: what was written where, and how it was proven."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    key = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "archives",
        sa.Column("archive_key", key, nullable=False),
        sa.Column("organization_id", sa.String(128), nullable=False),
        sa.Column("source_namespace_id", sa.String(128), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("error", sa.Text, nullable=True),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("proven", sa.Boolean, nullable=False),
        sa.Column("consistent", sa.Boolean, nullable=True),
        sa.Column("manifest", sa.String(64), nullable=True),
        sa.Column("points", sa.BigInteger, nullable=True),
        sa.Column("objects", sa.BigInteger, nullable=True),
        sa.Column("bytes", sa.BigInteger, nullable=True),
        sa.Column("seconds", sa.Float, nullable=True),
        sa.Column("restore_test", sa.JSON, nullable=True),
        sa.Column("scratch", sa.String(64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("archive_key", name="pk_archives"),
        sa.UniqueConstraint("address", name="uq_archives_address"),
    )
    op.create_index(
        "ix_archives_organization_id_policy_status",
        "archives",
        ["organization_id", "policy", "status"],
    )
    op.create_index("ix_archives_run_id", "archives", ["run_id"])
