"""What may stand in the policies file. Options of the clone are the request's own fields."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator, model_validator

from clone_pipeline.core.refresh.decide import Rules
from clone_pipeline.core.request import (
    DEFAULT_ENVIRONMENT,
    LONGEST_DAYS,
    LONGEST_ID,
    LONGEST_SECONDS,
    CloneRequest,
    IncludeResources,
)
from clone_pipeline.policies.names import (
    check_place,
    check_template,
    is_rendered,
    render_name,
)
from clone_pipeline.policies.targets import Target
from clone_pipeline.policies.times import check_cron, check_timezone

DEFAULT_NAME = "{source}_backup_{date}_{time}"

# The policy itself says these.
_SAID_ELSEWHERE = ("namespace_identifier", "namespace_name", "mode", "if_exists", "restore")


# What Dagster takes for an owner.
_OWNER = re.compile(
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}|team:[A-Za-z0-9_.-]+", re.ASCII
)
_MOST_KEPT = 1_000_000
LONGEST_PLACE = 500


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_ALL_OF_THEM: dict[str, Any] = {
    name: (bool, Field(True, description=info.description))
    for name, info in IncludeResources.model_fields.items()
}
BackupIncludeResources: type[IncludeResources] = create_model(
    "BackupIncludeResources",
    __base__=IncludeResources,
    __doc__="Which resource types come along; a backup takes all of them by default.",
    **_ALL_OF_THEM,
)


def _options(name: str, without: tuple[str, ...], **changed: tuple[Any, Any]) -> type[BaseModel]:
    """The request's fields but for `without`; `changed` are types and defaults that differ."""
    fields: dict[str, Any] = {}
    for field, info in CloneRequest.model_fields.items():
        if field in (*_SAID_ELSEWHERE, *without):
            continue
        kind, default = changed.get(field, (info.annotation, info.default))
        fields[field] = (kind, Field(default, description=info.description, **_bounds(info)))
    return create_model(name, __base__=_Strict, **fields)


def _bounds(info: Any) -> dict[str, Any]:
    return {
        name: getattr(bound, name)
        for bound in info.metadata
        for name in ("ge", "le", "max_length")
        if hasattr(bound, name)
    }


BackupOptions = _options(
    "BackupOptions",
    ("adopt", "alias", "ttl_seconds"),
    # Without them nothing can be restored from it.
    preserve_resource_ids=(Literal[True], True),
    include_resources=(BackupIncludeResources, BackupIncludeResources()),
    # A backup counts only when it is proven.
    verify=(Literal["full"], "full"),
)
RefreshOptions = _options("RefreshOptions", ("ttl_seconds",))

# Keys of the request that a policy must not set, and why.
REFUSED = {
    "if_exists": "A policy does not take `if_exists`: a backup never replaces anything, and a "
    "refresh always replaces its target.",
    "ttl_seconds": "A policy does not take `ttl_seconds`: backups are kept as `keep` says, and a "
    "refreshed namespace stays.",
    "restore": "A policy does not take `restore`: two namespaces whose schedules act would result.",
    "mode": "A policy does not take `mode`: it always copies.",
    "alias": "A backup does not take `alias`: each has a name of its own, and an alias is one's.",
    "adopt": "A backup does not take `adopt`: it never replaces anything.",
    "namespace_identifier": "A policy says `source` instead of `namespace_identifier`.",
    "namespace_name": "A backup says `name_template`, and a refresh `target`, instead of "
    "`namespace_name`.",
}


class Keep(_Strict):
    """How many backups stay. One that any of the counts keeps is kept."""

    last: int = Field(
        0, ge=0, le=_MOST_KEPT, description="The newest ones, whenever they were made."
    )
    hourly: int = Field(
        0, ge=0, le=_MOST_KEPT, description="The newest of each of the last hours that have one."
    )
    daily: int = Field(
        0, ge=0, le=_MOST_KEPT, description="The newest of each of the last days that have one."
    )
    weekly: int = Field(
        0, ge=0, le=_MOST_KEPT, description="The newest of each of the last weeks that have one."
    )
    monthly: int = Field(
        0, ge=0, le=_MOST_KEPT, description="The newest of each of the last months that have one."
    )

    @model_validator(mode="after")
    def _keeps_something(self) -> Keep:
        if not any(self.model_dump().values()):
            raise ValueError("`keep` must keep something; leave it out to keep everything")
        return self


class RestoreTest(_Strict):
    """When the newest proven backup is restored into a scratch namespace, for a test."""

    cron: str = Field("0 5 * * 0", description="When, in the policy's time zone.")
    max_age_days: int = Field(
        8,
        ge=1,
        le=LONGEST_DAYS,
        description="The check `restore_tested` fails when the last test is older.",
    )

    # Not of the whole model, which would check the default as well: that takes Dagster, and every
    # command would wait for it.
    @field_validator("cron")
    @classmethod
    def _is_cron(cls, cron: str) -> str:
        check_cron(cron)
        return cron


class OnChange(_Strict):
    """When a change in the source starts a refresh."""

    quiet_period_seconds: int = Field(
        300,
        ge=0,
        le=LONGEST_SECONDS,
        description="The source must have been left alone for this long.",
    )
    minimum_interval_seconds: int = Field(
        3600,
        ge=0,
        le=LONGEST_SECONDS,
        description="From the start of one refresh to the start of the next.",
    )


class _Policy(_Strict):
    name: str = Field(
        min_length=1,
        max_length=100,
        description="Name of the policy: letters, digits and `_`, unique in the file.",
    )
    source: str = Field(
        min_length=1,
        max_length=LONGEST_ID,
        description="The namespace to clone: its id or its name.",
    )
    enabled: bool = Field(True, description="`false` stops it without taking it out of the file.")
    owners: list[str] = Field(
        [], description="Who answers for it, as Dagster shows: e-mail addresses, or `team:NAME`."
    )

    @property
    def source_environment(self) -> str | None:
        """Where it reads; None is the own environment."""
        return self._option("source_environment")

    @property
    def target_environment(self) -> str | None:
        """Where it writes; None is the own environment."""
        return self._option("target_environment")

    @property
    def organization_id(self) -> str | None:
        """Where its clones land; None is the launcher's, or the source's for the local operator."""
        options: Any = self.options  # type: ignore[attr-defined]  # each kind has its own
        found: str | None = options.organization_id
        return found

    def _option(self, name: str) -> str | None:
        options: BaseModel = self.options  # type: ignore[attr-defined]  # each kind has its own
        found: str | None = getattr(options, name)
        return None if found in ("", DEFAULT_ENVIRONMENT) else found

    @field_validator("owners")
    @classmethod
    def _are_owners(cls, owners: list[str]) -> list[str]:
        for owner in owners:
            if not _OWNER.fullmatch(owner):
                raise ValueError(
                    f"{owner!r} is no owner; write an e-mail address, or `team:` and a name, such "
                    "as `team:search`"
                )
        return owners


# All that there is to say of an archive: it holds everything, and refers to nothing.
_OF_ARCHIVES = {"source_organization_id"}


class BackupPolicy(_Policy):
    """A clone or an archive at fixed times, under a new name each time."""

    cron: str = Field(description="When: five fields, minute hour day month weekday.")
    timezone: str = Field("UTC", max_length=64, description="Time zone of `cron` and of the names.")
    name_template: str = Field(
        DEFAULT_NAME,
        max_length=200,
        description="Name of each backup. `{source}`, `{policy}`, `{date}` (20261124) and `{time}` "
        "(0230) are filled in.",
    )
    to: str | None = Field(
        None,
        max_length=LONGEST_PLACE,
        description="Where archives are written, `s3://bucket/prefix` or `file:///folder`; without "
        "it a backup is a clone beside its source.",
    )
    options: BackupOptions = Field(  # type: ignore[valid-type]
        BackupOptions(), description="Options of the clone, as in the request."
    )
    keep: Keep | None = Field(None, description="How many backups stay; without it all of them do.")
    restore_test: RestoreTest | None = Field(
        RestoreTest(), description="The restore test, weekly by default; `null` leaves it out."
    )

    @model_validator(mode="after")
    def _is_usable(self) -> BackupPolicy:
        check_cron(self.cron)
        check_timezone(self.timezone)
        check_template(self.name_template, self.source, self.name, self.cron)
        if self.to is not None:
            check_place(self.to, self.clone_names)
            options: BaseModel = self.options
            told = sorted(options.model_fields_set - _OF_ARCHIVES)
            if told:
                raise ValueError(
                    f"an archive (`to`) holds everything, so that its `options` take no `{told[0]}`"
                )
        return self

    def address(self, name: str) -> str | None:
        """Where the archive of that name is written; None for a policy whose backups are clones."""
        return None if self.to is None else f"{self.to.rstrip('/')}/{name}"

    def request(self, name: str) -> dict[str, Any]:
        """The request for the backup of that name."""
        options: BaseModel = self.options
        return {
            "namespace_identifier": self.source,
            "namespace_name": name,
            **options.model_dump(),
        }

    def asks_for(self, request: CloneRequest) -> bool:
        """Whether the request is one of the policy's own: a proven copy of its source, with the
        source's ids, that expires by nothing but `keep`, and has a name that the policy gives."""
        mine = CloneRequest.model_validate(self.request(request.namespace_name))
        whose = {"namespace_identifier", "source_organization_id", "organization_id"}
        what = {"include_resources", "preserve_resource_ids", "restore", "verify"}
        same = whose | what | {"if_exists", "ttl_seconds"}
        return request.model_dump(include=same) == mine.model_dump(include=same) and is_rendered(
            request.namespace_name, self.name_template, self.source, self.name
        )

    def asks_for_archive(self, source: str, address: str) -> bool:
        """Whether that archive is one of the policy's own."""
        place, _, name = address.rpartition("/")
        if self.to is None or place != self.to.rstrip("/") or source != self.source:
            return False
        return is_rendered(name, self.name_template, self.source, self.name)

    def archive_config(self, name: str) -> dict[str, Any]:
        """What the job is asked for that writes the archive of that name."""
        return {
            "namespace_identifier": self.source,
            "address": self.address(name),
            "source_organization_id": self.request(name)["source_organization_id"],
        }

    def clone_name(self, moment: datetime) -> str:
        """The name of the backup of a tick."""
        return render_name(self.name_template, self.source, self.name, moment, self.timezone)

    @property
    def clone_names(self) -> str:
        """The names of all its backups, with `{date}` and `{time}` still to be filled in."""
        kept = {"date": "{date}", "time": "{time}"}
        return self.name_template.format(source=self.source, policy=self.name, **kept)


class RefreshPolicy(_Policy):
    """A namespace that is made anew from its source, under the same name and the same ids."""

    target: str = Field(
        min_length=1, max_length=64, description="Name of the namespace that is refreshed."
    )
    on_change: OnChange | None = Field(None, description="Refresh when the source has changed.")
    cron: str | None = Field(None, description="Refresh at fixed times, whatever has changed.")
    timezone: str = Field("UTC", max_length=64, description="Time zone of `cron`.")
    max_age_seconds: int | None = Field(
        None,
        ge=60,
        le=LONGEST_SECONDS,
        description="Refresh when the target is older than this, also if no change was noticed. "
        "Needs `on_change`.",
    )
    options: RefreshOptions = Field(  # type: ignore[valid-type]
        RefreshOptions(), description="Options of the clone, as in the request."
    )

    @model_validator(mode="after")
    def _is_usable(self) -> RefreshPolicy:
        check_timezone(self.timezone)
        if self.cron is not None:
            check_cron(self.cron)
        if self.on_change is None and self.cron is None:
            raise ValueError("a refresh needs `on_change` or `cron`, or it would never run")
        if self.on_change is None and self.max_age_seconds is not None:
            raise ValueError("`max_age_seconds` needs `on_change`; write `on_change: {}`")
        if self.target == self.source:
            raise ValueError("`source` and `target` are the same namespace")
        if self.target != self.target.strip() or not self.target.isprintable():
            raise ValueError(
                "`target` must not begin or end with a space or hold control characters"
            )
        return self

    def request(self) -> dict[str, Any]:
        options: BaseModel = self.options
        return {
            "namespace_identifier": self.source,
            "namespace_name": self.target,
            **options.model_dump(),
            "if_exists": "replace",
        }

    @property
    def rules(self) -> Rules:
        """For `decide`. Raises ValueError for a policy without `on_change`."""
        if self.on_change is None:
            raise ValueError(f"{self.name} does not watch its source.")
        return Rules(
            quiet_period=self.on_change.quiet_period_seconds,
            minimum_interval=self.on_change.minimum_interval_seconds,
            max_age=self.max_age_seconds,
        )


class PoliciesFile(_Strict):
    """Backups and refreshes that run by themselves."""

    backups: list[BackupPolicy] = Field([], description="Clones at fixed times, kept for a while.")
    refreshes: list[RefreshPolicy] = Field(
        [], description="Namespaces that follow their source, such as staging."
    )
    notify: list[Target] = Field(
        [], description="Who is told when a policy fails, is overdue, or cannot be proven."
    )
