"""A rollback holds the policies that refresh a namespace: since when.

Before, it was derived from newer generations, and could not be ended but by a refresh.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("namespaces", sa.Column("held_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        """
        UPDATE namespaces SET held_at = updated_at WHERE role = 'live' AND EXISTS (
            SELECT 1 FROM namespaces AS newer
            WHERE newer.namespace_id = namespaces.namespace_id
            AND newer.role = 'previous' AND newer.generation > namespaces.generation
        )
        """
    )
