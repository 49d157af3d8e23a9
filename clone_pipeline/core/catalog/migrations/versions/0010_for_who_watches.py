"""Looking for the last runs of each policy, and for what is at work, reads no other row."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_clones_status", "clones", ["status"])
    op.create_index(
        "ix_clones_organization_id_policy_phase_created_at",
        "clones",
        ["organization_id", "policy", "phase", "created_at"],
    )
