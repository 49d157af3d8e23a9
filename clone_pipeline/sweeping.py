"""What the sweep goes by: the counts and the time zone of each backup policy of this deployment."""

from zoneinfo import ZoneInfo

from clone_pipeline.core.retention import Keep
from clone_pipeline.core.sweep import Policies
from clone_pipeline.policies import load_policies
from clone_pipeline.settings import Settings


def backup_policies(settings: Settings) -> Policies:
    """By name. Backups of a policy that is not among them, as where its entry has a mistake, are
    kept."""
    return {
        policy.name: (
            Keep(**(policy.keep.model_dump() if policy.keep else {})),
            ZoneInfo(policy.timezone),
        )
        for policy in load_policies(settings.policies).backups
    }
