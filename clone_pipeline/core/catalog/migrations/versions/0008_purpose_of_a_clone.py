"""What a policy has a clone for is stored, and no longer inferred from its request."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("clones", sa.Column("purpose", sa.String(16), nullable=True))
    _infer_once_more()


def _infer_once_more() -> None:
    """In Python: PostgreSQL looks into no JSON text that has a NUL in it."""
    clones = sa.table(
        "clones",
        sa.column("clone_id"),
        sa.column("request", sa.JSON()),
        sa.column("policy"),
        sa.column("purpose"),
    )
    bind = op.get_bind()
    of_policies = sa.select(clones.c.clone_id).where(clones.c.policy.is_not(None))
    for clone_id in bind.execute(of_policies).scalars().all():
        mine = clones.c.clone_id == clone_id
        request = bind.execute(sa.select(clones.c.request).where(mine)).scalar_one()
        if request["if_exists"] == "replace":
            purpose = "refresh"
        elif request["preserve_resource_ids"]:
            purpose = "backup"
        else:
            continue
        bind.execute(sa.update(clones).where(mine).values(purpose=purpose))
