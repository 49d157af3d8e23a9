"""The request: the same fields at the Launchpad, on the command line, in the API and in policies.

The first six and `ttl_seconds` are Mixpeek's `CloneNamespaceRequest` (with the path parameter);
the rest is ours.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import InvalidRequest


class IncludeResources(BaseModel):
    """Which resource types come along. Buckets and objects always do."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    collections: bool = Field(True, description="Collections, with every point and its vectors.")
    retrievers: bool = Field(True, description="Retrievers (search pipelines).")
    taxonomies: bool = Field(False, description="Taxonomies, in all their versions.")


class CloneRequest(BaseModel):
    """One clone of one namespace."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    namespace_identifier: str = Field(
        min_length=1, description="The source namespace: its id or its name."
    )
    namespace_name: str = Field(
        min_length=1,
        max_length=64,
        description="Name of the new namespace, 1 to 64 characters, unique in the organization.",
    )
    mode: Literal["copy", "branch"] = Field(
        "copy", description="`copy` writes every vector. `branch` (copy-on-write) is refused."
    )
    include_resources: IncludeResources = Field(
        IncludeResources(), description="Which resource types to clone."
    )
    description: str | None = Field(
        None, description="Description of the new namespace; empty copies the source's."
    )
    source_organization_id: str | None = Field(
        None, description="Organization of the source, when it is another one (admin only)."
    )
    ttl_seconds: int | None = Field(
        None, ge=60, description="The new namespace expires after this many seconds (at least 60)."
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
    organization_id: str | None = Field(
        None, description="Where the clone lands; empty is the launcher's organization."
    )
    lane: Literal["auto", "stream", "native"] = Field(
        "auto", description="How points travel: through us, or inside Qdrant."
    )
    verify: Literal["full", "sample", "counts"] = Field(
        "full", description="How much is proven before the clone is called ready."
    )
    verify_objects: Literal["none", "sample", "all"] = Field(
        "none", description="Check that the S3 files that objects refer to exist."
    )
    max_points_per_second: int | None = Field(
        None,
        ge=1,
        description="Upper bound on the rate at which points are read and written (at least 1).",
    )
    concurrent_slices: int | None = Field(
        None, ge=1, le=64, description="How many slices of the points are copied at once (1 to 64)."
    )

    def content(self) -> dict[str, Any]:
        """What of the source stands in the clone, whatever it is called and however it is made."""
        fields = {
            "include_resources",
            "description",
            "preserve_resource_ids",
            "restore",
            "on_dangling",
        }
        return self.model_dump(include=fields)

    def identity(self) -> str:
        """Equal for requests that ask for the same clone: such a one may be resumed.

        How fast and how thoroughly it is done is not part of it.
        """
        left_out = {"verify", "verify_objects", "max_points_per_second", "concurrent_slices"}
        if not self.restore:
            left_out.add("restore")  # clones that were begun before there was this option
        text = json.dumps(self.model_dump(exclude=left_out), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def parse_request(values: dict[str, Any]) -> CloneRequest:
    """The request from plain values. Raises InvalidRequest: one sentence on the first mistake."""
    try:
        request = CloneRequest.model_validate(values)
    except ValidationError as error:
        raise InvalidRequest(_sentence(error)) from None
    if request.mode == "branch":
        raise InvalidRequest(
            "mode: `branch` (copy-on-write) is not available, because Qdrant cannot share segments "
            "between collections; use `copy`."
        )
    return request


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        model = IncludeResources if path.startswith("include_resources.") else CloneRequest
        accepted = ", ".join(model.model_fields)
        return f"Unknown option `{path}`; accepted are: {accepted}."
    if first["type"] == "missing":
        return f"`{path}` is required: {CloneRequest.model_fields[path].description}"
    got = json.dumps(first["input"], default=str, ensure_ascii=False)
    if len(got) > 80:
        got = f"{got[:77]}..."
    return f"`{path}` is not usable: {first['msg'][0].lower()}{first['msg'][1:]} (got {got})."
