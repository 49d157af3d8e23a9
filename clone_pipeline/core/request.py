"""The request: the same fields at the Launchpad, on the command line, in the API and in policies.

The first six and `ttl_seconds` are Mixpeek's `CloneNamespaceRequest` (with the path parameter);
the rest is ours.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .errors import InvalidRequest
from .kinds import ResourceKind
from .text import fault, storable
from .words import Option, Part

# The bounds of every door: the command line, the API, the Launchpad and the policies file. Nothing
# is planned for more than ten years, and a date can hold them.
LONGEST_DAYS = 3650
LONGEST_SECONDS = LONGEST_DAYS * 86400
LONGEST_NAME, LONGEST_ID, LONGEST_DESCRIPTION = 64, 128, 10_000
LONGEST_ALIAS = 200
LONGEST_ENVIRONMENT = 64
# What the deployment is called that the usual variables describe.
DEFAULT_ENVIRONMENT = "default"
_NOT_IN_NAMES = '<>:"/\\|?*'
FASTEST_POINTS = 10_000_000
LARGEST_NUMBER = 2**31 - 1  # of a version, a generation or a count


# Options that the first version did not have. Unused, they leave a request as it was then.
_SINCE = ("restore", "alias", "source_environment", "target_environment")


class IncludeResources(BaseModel):
    """Which resource types come along. Buckets and objects always do."""

    # Mixpeek's contract, so the switches of `KINDS` are spelled out here.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    collections: bool = Field(True, description="Collections, with every point and its vectors.")
    retrievers: bool = Field(True, description="Retrievers (search pipelines).")
    taxonomies: bool = Field(False, description="Taxonomies, in all their versions.")


class CloneRequest(BaseModel):
    """One clone of one namespace."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    namespace_identifier: str = Field(
        min_length=1, max_length=LONGEST_ID, description="The source namespace: its id or its name."
    )
    namespace_name: str = Field(
        min_length=1,
        max_length=LONGEST_NAME,
        description="Name of the new namespace, 1 to 64 characters, unique in the organization.",
    )
    mode: Literal["copy", "branch"] = Field(
        "copy", description="`copy` writes every vector. `branch` (copy-on-write) is refused."
    )
    include_resources: IncludeResources = Field(
        IncludeResources(), description="Which resource types to clone."
    )
    description: str | None = Field(
        None,
        max_length=LONGEST_DESCRIPTION,
        description="Description of the new namespace; empty copies the source's.",
    )
    source_organization_id: str | None = Field(
        None,
        max_length=LONGEST_ID,
        description="Organization of the source, when it is another one (admin only).",
    )
    source_environment: str | None = Field(
        None,
        max_length=LONGEST_ENVIRONMENT,
        description="The environment of the source, by its name in CLONE_ENVIRONMENTS; empty is "
        "the one that it is launched from.",
    )
    target_environment: str | None = Field(
        None,
        max_length=LONGEST_ENVIRONMENT,
        description="The environment where the clone lands; empty is the one that it is launched "
        "from.",
    )
    ttl_seconds: int | None = Field(
        None,
        ge=60,
        le=LONGEST_SECONDS,
        description="The new namespace expires after this many seconds (at least 60).",
    )
    preserve_resource_ids: bool = Field(
        False,
        description="Keep the ids of buckets, collections, retrievers and taxonomies. Right for "
        "backups; in a staging copy it hides references that point back at production.",
    )
    restore: bool = Field(
        False,
        description="The source is a backup: put back what was cleared when it was made, such as "
        "schedules. Needs `preserve_resource_ids`.",
    )
    on_dangling: Literal["clear", "fail"] = Field(
        "clear",
        description="A configuration reference whose target is not cloned: `clear` it and say so, "
        "or `fail` before anything is written.",
    )
    if_exists: Literal["fail", "replace"] = Field(
        "fail",
        description="When the name exists: `fail`, or `replace` it: build beside it, prove it, "
        "then swap.",
    )
    adopt: bool = Field(
        False,
        description="Let `replace` take a namespace that is not our own clone of the same source.",
    )
    alias: str | None = Field(
        None,
        max_length=LONGEST_ALIAS,
        description="A Qdrant alias that stands for the clone, and after a refresh or a rollback "
        "for what is live then; it needs a Qdrant server.",
    )
    organization_id: str | None = Field(
        None,
        max_length=LONGEST_ID,
        description="Where the clone lands; empty is the launcher's organization.",
    )
    lane: Literal["auto", "stream", "native", "delta"] = Field(
        "auto",
        description="How points travel: through us, inside Qdrant, or (for a refresh, or a "
        "policy's next backup) inside Qdrant, and those that have changed through us.",
    )
    verify: Literal["full", "sample", "counts"] = Field(
        "full", description="How much is proven before the clone is called ready."
    )
    verify_objects: Literal["none", "sample", "all"] = Field(
        "none", description="Check that the S3 files that objects refer to exist."
    )
    files: Literal["share", "copy"] = Field(
        "share",
        description="The S3 files that objects and payloads refer to: `share` them with the "
        "source, or `copy` each, so that the clone owns its files.",
    )
    max_points_per_second: int | None = Field(
        None,
        ge=1,
        le=FASTEST_POINTS,
        description="Upper bound on the rate at which points are read and written (at least 1).",
    )
    concurrent_slices: int | None = Field(
        None,
        ge=1,
        le=64,
        description="How many slices of the points each process copies at once (1 to 64).",
    )

    @field_validator(
        "description",
        "source_organization_id",
        "organization_id",
        "alias",
        "source_environment",
        "target_environment",
    )
    @classmethod
    def _empty_is_none(cls, value: str | None) -> str | None:
        return value or None

    @field_validator("source_environment", "target_environment")
    @classmethod
    def _default_is_none(cls, value: str | None) -> str | None:
        return None if value == DEFAULT_ENVIRONMENT else value

    @field_validator("alias")
    @classmethod
    def _is_a_name(cls, value: str | None) -> str | None:
        """As Qdrant 1.18 wants the name of a collection (`validate_collection_name`)."""
        wrong = {character for character in value or "" if character in _NOT_IN_NAMES}
        if wrong or not (value or "x").isprintable():
            raise ValueError(f"it must not have any of {' '.join(_NOT_IN_NAMES)}, as Qdrant has it")
        return value

    def includes(self, kind: ResourceKind) -> bool:
        """Whether it asks for a resource type, or that one always comes along."""
        return kind.switch is None or bool(getattr(self.include_resources, kind.switch))

    def content(self) -> dict[str, Any]:
        """What of the source stands in the clone, whatever it is called and however it is made."""
        fields = {
            "include_resources",
            "description",
            "preserve_resource_ids",
            "restore",
            "on_dangling",
            "alias",
            "source_environment",
            "files",
        }
        return self.model_dump(include=fields)

    def identity(self) -> str:
        """Equal for requests that ask for the same clone: such a one may be resumed.

        How fast and how thoroughly it is done is not part of it.
        """
        left_out = {"verify", "verify_objects", "max_points_per_second", "concurrent_slices"}
        # Of clones that were begun before there were these options.
        left_out |= {name for name in _SINCE if not getattr(self, name)}
        if self.files == "share":
            left_out.add("files")  # as well
        text = json.dumps(self.model_dump(exclude=left_out), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def parse_request(values: dict[str, Any]) -> CloneRequest:
    """The request from plain values. Raises InvalidRequest: one sentence on the first mistake."""
    for field, value in values.items():
        # What is only looked up is not there.
        text = isinstance(value, str) and field != "namespace_identifier"
        if text and (wrong := fault(value)) is not None:
            raise InvalidRequest(f"`{field}` {wrong}.")
    try:
        request = CloneRequest.model_validate(values)
    except ValidationError as error:
        raise InvalidRequest(*_sentence(error)) from None
    if request.mode == "branch":
        raise InvalidRequest(
            Option("mode", "branch"),
            " (copy-on-write) is not available, because Qdrant cannot share segments between "
            "collections; use `copy`.",
        )
    return request


def _sentence(error: ValidationError) -> list[Part]:
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        model = IncludeResources if path.startswith("include_resources.") else CloneRequest
        accepted = ", ".join(model.model_fields)
        return [f"Unknown option `{path}`; accepted are: {accepted}."]
    if first["type"] == "missing":
        return [Option(path), f" is required: {CloneRequest.model_fields[path].description}"]
    got = json.dumps(first["input"], default=str, ensure_ascii=False)
    if not storable(got):
        got = json.dumps(first["input"], default=str)
    if len(got) > 80:
        got = f"{got[:77]}..."
    message = first["msg"].removeprefix("Value error, ")
    return [Option(path), f" is not usable: {message[0].lower()}{message[1:]} (got {got})."]
