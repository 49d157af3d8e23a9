"""Whether environments can be used: every store is read with the credentials that are given, and
what may be written is written, read back and removed."""

from clone_pipeline.probing.everything import Checked, check_environments
from clone_pipeline.probing.findings import Finding

__all__ = ["Checked", "Finding", "check_environments"]
