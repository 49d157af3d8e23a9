"""What many clones and several processes of the API need.

Whether a name is the id of a source is asked before each clone, and which backups there are each
minute: both out of an index. Requests are counted in a table that is not written ahead: nothing is
lost with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_OF_BACKUPS = ["purpose", "status", "organization_id", "policy", "namespace_name"]


def upgrade() -> None:
    op.create_index("ix_clones_source_namespace_id", "clones", ["source_namespace_id"])
    op.create_index(f"ix_clones_{'_'.join(_OF_BACKUPS)}", "clones", _OF_BACKUPS)
    op.create_table(
        "api_requests",
        sa.Column("whose", sa.String(160), nullable=False),
        sa.Column("minute", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("whose", "minute", name="pk_api_requests"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE api_requests SET UNLOGGED")
