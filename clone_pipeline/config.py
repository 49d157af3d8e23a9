"""The job's run config: the request itself, at the root, as the Launchpad shows it.

Types and choices are checked at the Launchpad; bounds are not (Dagster turns them into an error
of the config mapping), so they are left to the first op, which refuses with one sentence.
"""

from typing import Any

import dagster as dg
from pydantic import Field, create_model

from clone_pipeline.core.request import CloneRequest, IncludeResources
from clone_pipeline.settings import load_settings


def _fields(model: type[Any], nested: dict[str, Any]) -> dict[str, Any]:
    """A model's fields without their bounds, in the form that `create_model` takes."""
    fields: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        annotation, default = info.annotation, info.default
        if name in nested:
            annotation, default = nested[name], nested[name]()
        required = info.is_required()
        fields[name] = (
            annotation,
            Field(... if required else default, description=info.description),
        )
    return fields


IncludeResourcesConfig = create_model(
    "IncludeResourcesConfig", __base__=dg.Config, **_fields(IncludeResources, {})
)
CloneConfig: type[dg.Config] = create_model(
    "CloneConfig",
    __base__=dg.Config,
    __doc__="What to clone, into which name, and how.",
    **_fields(CloneRequest, {"include_resources": IncludeResourcesConfig}),
)


class SweepConfig(dg.Config):
    """How to sweep."""

    dry_run: bool = Field(False, description="Show what would go and what stays; remove nothing.")


class RestoreTestConfig(dg.Config):
    """Which backup to test."""

    backup: str = Field(
        description="A backup: its name or id; or a policy, for its newest proven backup."
    )


@dg.config_mapping
def request_at_the_root(config: CloneConfig) -> dg.RunConfig:
    """The request goes to the first op; the rest find everything in the ledger."""
    return _for_op("plan_clone", config)


@dg.config_mapping
def sweep_at_the_root(config: SweepConfig) -> dg.RunConfig:
    return _for_op("sweep", config)


@dg.config_mapping
def restore_test_at_the_root(config: RestoreTestConfig) -> dg.RunConfig:
    return _for_op("try_restore", config)


def _for_op(name: str, config: dg.Config) -> dg.RunConfig:
    console = {"config": {"log_level": load_settings().log_level}}
    return dg.RunConfig(ops={name: config}, loggers={"console": console})
