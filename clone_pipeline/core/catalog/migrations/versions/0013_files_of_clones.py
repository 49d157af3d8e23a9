"""Clones that own their files: what is copied of which, and who refers to whose copies."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "clone_files",
        sa.Column("clone_id", sa.String(32), nullable=False),
        sa.Column("file_id", sa.String(32), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=True),
        sa.Column("source_etag", sa.Text, nullable=True),
        sa.Column("etag", sa.Text, nullable=True),
        sa.Column("proof", sa.String(16), nullable=True),
        sa.Column("error", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("clone_id", "file_id", name="pk_clone_files"),
        sa.ForeignKeyConstraint(
            ["clone_id"],
            ["clones.clone_id"],
            name="fk_clone_files_clone_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "ix_clone_files_clone_id_state_file_id", "clone_files", ["clone_id", "state", "file_id"]
    )
    op.add_column("clones", sa.Column("files", sa.JSON, nullable=True))
    op.add_column("clones", sa.Column("files_of", sa.String(32), nullable=True))
    op.create_index("ix_clones_files_of", "clones", ["files_of"])
