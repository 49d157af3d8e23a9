"""The policies file: which backups and refreshes run by themselves."""

from clone_pipeline.lines import Problem
from clone_pipeline.policies.load import Policies, load_policies, read_policies
from clone_pipeline.policies.models import BackupPolicy, Keep, OnChange, RefreshPolicy, RestoreTest
from clone_pipeline.policies.targets import Target

__all__ = [
    "BackupPolicy",
    "Keep",
    "OnChange",
    "Policies",
    "Problem",
    "RefreshPolicy",
    "RestoreTest",
    "Target",
    "load_policies",
    "read_policies",
]
