"""What the sweep goes by: counts, time zone and source of each backup policy of this deployment."""

from zoneinfo import ZoneInfo

from clone_pipeline.core.generations.retention import Keep
from clone_pipeline.core.generations.sweep import BackupRule, Policies
from clone_pipeline.policies import load_policies
from clone_pipeline.settings import Settings


def backup_policies(settings: Settings) -> Policies:
    """By name. Backups of a policy that is not among them, as where its entry has a mistake, are
    kept."""
    return {
        policy.name: BackupRule(
            Keep(**(policy.keep.model_dump() if policy.keep else {})),
            ZoneInfo(policy.timezone),
            policy.source,
            policy.request(policy.name)["source_organization_id"],
            policy.to is not None,
        )
        for policy in load_policies(settings.policies).backups
    }
