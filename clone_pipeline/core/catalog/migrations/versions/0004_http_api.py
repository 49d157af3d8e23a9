"""Reservations, the runs of a clone, templates, and the answers that are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("clones", sa.Column("reserved_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "clone_runs",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("clone_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["clone_id"],
            ["clones.clone_id"],
            name=op.f("fk_clone_runs_clone_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_clone_runs")),
    )
    op.create_index(op.f("ix_clone_runs_clone_id"), "clone_runs", ["clone_id"], unique=False)
    op.execute(
        "INSERT INTO clone_runs (run_id, clone_id, created_at) "
        "SELECT run_id, clone_id, created_at FROM clones WHERE run_id IS NOT NULL"
    )
    op.create_table(
        "templates",
        sa.Column("template_id", sa.String(length=128), nullable=False),
        sa.Column("organization_id", sa.String(length=128), nullable=False),
        sa.Column(
            "namespace_key",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("template_name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("source_namespace_id", sa.String(length=128), nullable=False),
        sa.Column("created_by", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_key"],
            ["namespaces.namespace_key"],
            name=op.f("fk_templates_namespace_key"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.organization_id"],
            name=op.f("fk_templates_organization_id"),
        ),
        sa.PrimaryKeyConstraint("template_id", name=op.f("pk_templates")),
    )
    op.create_index(
        op.f("ix_templates_organization_id"), "templates", ["organization_id"], unique=False
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(
        op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False
    )
