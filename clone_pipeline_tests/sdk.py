"""Mixpeek's own Python package in half of its time: what pydantic makes of each of its 1,500 models
and 1,900 methods is made at their first use, and most have none."""

from unittest.mock import patch

from pydantic._internal import _config

with patch.dict(_config.config_defaults, defer_build=True):
    import mixpeek

__all__ = ["mixpeek"]
