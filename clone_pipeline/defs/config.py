"""The job's run config: the request itself, at the root, as the Launchpad shows it.

Types and choices are checked at the Launchpad; bounds are not (Dagster turns them into an error
of the config mapping), so they are left to the first op, which refuses with one sentence.
"""

from typing import Any

import dagster as dg
from pydantic import Field, create_model

from clone_pipeline.core.request import CloneRequest, IncludeResources
from clone_pipeline.environments import read_environments
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


_ENVIRONMENT = "The environment, by its name in CLONE_ENVIRONMENTS; empty is this one."


class ArchiveConfig(dg.Config):
    """What to write as an archive, and where."""

    namespace_identifier: str = Field(description="The namespace: its id or its name.")
    address: str = Field(
        description="Of this archive alone: s3://bucket/prefix/name or file:///folder/name. The "
        "same one again goes on with what was cut off."
    )
    source_organization_id: str | None = Field(
        None, description="Organization of the namespace, when it is another one (admin only)."
    )
    environment: str | None = Field(None, description=_ENVIRONMENT)


class SweepConfig(dg.Config):
    """How to sweep."""

    dry_run: bool = Field(False, description="Show what would go and what stays; remove nothing.")
    environment: str | None = Field(None, description=_ENVIRONMENT)


class RestoreTestConfig(dg.Config):
    """Which backup to test."""

    backup: str = Field(
        description="A backup: its name or id; or a policy, for its newest proven backup."
    )
    environment: str | None = Field(None, description=_ENVIRONMENT)


# Dagster takes `{env: NAME}` for a value of these, and reads the variable in the run's process:
# whoever launches could have it shown in a description. What it is without that stands beside it.
_WITHOUT_ENVIRONMENT = {
    dg.StringSource.key: dg.String,
    dg.IntSource.key: dg.Int,
    dg.BoolSource.key: dg.Bool,
}


# Of all jobs, when they are loaded.
_ENVIRONMENTS = read_environments(load_settings().environments).names
_OF_ENVIRONMENTS = {"source_environment", "target_environment", "environment"}

# A logger that the run config does not name is replaced by Dagster's own, which prints everything.
_LOGGERS: dict[str, Any] = {"loggers": {"console": {}}}


def _at_the_root(op: str, model: type[dg.Config]) -> dg.ConfigMapping:
    """The run config of a job is that of one op: the rest find everything in the ledger. In which
    environment that is, `StoresResource` looks up here, too."""

    def to_the_op(config: dict[str, Any]) -> dict[str, Any]:
        return {"ops": {op: {"config": config}}, **_LOGGERS}

    fields = _without_environment(model.to_config_schema().config_type)
    return dg.ConfigMapping(to_the_op, _with_names(fields))


def _with_names(fields: dict[str, dg.Field]) -> dict[str, dg.Field]:
    """The Launchpad offers the environments that there are; without a file there is one alone."""
    if len(_ENVIRONMENTS) == 1:
        return fields
    kind = dg.Noneable(dg.Enum("Environment", [dg.EnumValue(name) for name in _ENVIRONMENTS]))
    named = {
        key: dg.Field(kind, description=fields[key].description, is_required=False)
        for key in _OF_ENVIRONMENTS & fields.keys()
    }
    return fields | named


def _without_environment(kind: Any) -> Any:
    """A type of run config whose values are what is written there, and nothing else."""
    if isinstance(kind, dg.Shape):
        return {name: _field(field) for name, field in kind.fields.items()}
    if isinstance(kind, dg.Noneable):
        return dg.Noneable(_without_environment(kind.inner_type))
    return _WITHOUT_ENVIRONMENT.get(kind.key, kind)


def _field(field: dg.Field) -> dg.Field:
    default = {"default_value": field.default_value} if field.default_provided else {}
    return dg.Field(
        _without_environment(field.config_type),
        description=field.description,
        is_required=field.is_required,
        **default,
    )


request_at_the_root = _at_the_root("plan_clone", CloneConfig)
archive_at_the_root = _at_the_root("write_archive", ArchiveConfig)
sweep_at_the_root = _at_the_root("sweep", SweepConfig)
restore_test_at_the_root = _at_the_root("try_restore", RestoreTestConfig)
# Of a job that has nothing to be configured.
nothing_at_the_root = dg.ConfigMapping(lambda _: _LOGGERS, {})

# What Dagster prints to a run's stderr; as the environment of the run says, and nobody else.
console = dg.colored_console_logger.configured(
    lambda _: {"log_level": load_settings().log_level}, config_schema={}
)
