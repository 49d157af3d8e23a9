"""The environments file: the deployments that namespaces are cloned between."""

from clone_pipeline.environments.load import Environments, read_environments
from clone_pipeline.environments.models import Environment

__all__ = ["Environment", "Environments", "read_environments"]
