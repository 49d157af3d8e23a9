"""What came first is counted, and no longer read off clocks; and how much is in a backup.

`namespaces.turn` says in which order generations were replaced. `seen_heartbeat_at` is a heartbeat
that was ahead of a reader's clock, and `seen_at` since when that reader has known it. `points` and
`objects` are how many a clone was published with.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("namespaces", sa.Column("turn", sa.Integer(), nullable=True))
    for table in ("clones", "loads"):
        for name in ("seen_heartbeat_at", "seen_at"):
            op.add_column(table, sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    for name in ("points", "objects"):
        op.add_column("clones", sa.Column(name, sa.BigInteger(), nullable=True))
    _count_what_is_published()
    # Until now `updated_at` was the order.
    op.execute(
        """
        UPDATE namespaces SET turn = (
            SELECT count(*) FROM namespaces AS other
            WHERE other.organization_id = namespaces.organization_id
            AND other.namespace_name = namespaces.namespace_name AND other.role = 'previous'
            AND (
                other.updated_at < namespaces.updated_at
                OR (
                    other.updated_at = namespaces.updated_at
                    AND other.generation <= namespaces.generation
                )
            )
        ) WHERE role = 'previous'
        """
    )


def _count_what_is_published() -> None:
    """In Python: PostgreSQL looks into no JSON text that has a NUL in it."""
    clones = sa.table(
        "clones",
        sa.column("clone_id"),
        sa.column("response", sa.JSON()),
        sa.column("points"),
        sa.column("objects"),
    )
    bind = op.get_bind()
    published = sa.select(clones.c.clone_id).where(clones.c.response.is_not(None))
    for clone_id in bind.execute(published).scalars().all():
        mine = clones.c.clone_id == clone_id
        response = bind.execute(sa.select(clones.c.response).where(mine)).scalar()
        if response is not None:
            counts = response["cloned_resources"]
            values = {name: counts.get(name) for name in ("points", "objects")}
            bind.execute(sa.update(clones).where(mine).values(values))
