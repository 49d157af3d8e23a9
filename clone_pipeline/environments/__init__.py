"""The environments file: the deployments that namespaces are cloned between."""

from clone_pipeline.environments.load import Environments, read_environments
from clone_pipeline.environments.models import DEFAULT, Environment

__all__ = ["DEFAULT", "Environment", "Environments", "read_environments"]
