"""When a backup was tested last is a column of its own; an archive knows who is testing it, and
what it holds."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_OF_ARCHIVES = "ix_archives_organization_id_policy_status"
# What is counted at each scrape, out of the index alone.
_INDEXES = {
    "clones": ["organization_id", "policy", "tested_at", "clone_id"],
    "archives": ["organization_id", "policy", "status", "tested_at", "finished_at"],
    "namespaces": ["clone_id", "role", "clone_status"],
}


def upgrade() -> None:
    for table in ("clones", "archives"):
        op.add_column(table, sa.Column("tested_at", sa.DateTime(timezone=True), nullable=True))
    for name in ("tester", "contents"):
        op.add_column("archives", sa.Column(name, sa.JSON, nullable=True))
    _read_the_tests("clones", "clone_id")
    _read_the_tests("archives", "archive_key")
    op.drop_index(_OF_ARCHIVES, "archives")
    for table, columns in _INDEXES.items():
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, columns)


def _read_the_tests(name: str, key: str) -> None:
    """In Python: PostgreSQL looks into no JSON text that has a NUL in it."""
    table = sa.table(
        name,
        sa.column(key),
        sa.column("restore_test", sa.JSON()),
        sa.column("tested_at", sa.DateTime(timezone=True)),
    )
    bind, mine = op.get_bind(), table.c[key]
    for found in bind.execute(sa.select(mine).where(table.c.restore_test.is_not(None))).all():
        test = bind.execute(sa.select(table.c.restore_test).where(mine == found[0])).scalar()
        if test is not None:
            moment = datetime.fromisoformat(test["tested_at"].replace("Z", "+00:00"))
            bind.execute(sa.update(table).where(mine == found[0]).values(tested_at=moment))
