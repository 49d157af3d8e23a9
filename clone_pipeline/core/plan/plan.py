"""The plan: everything a clone will do, worked out before anything is written."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from .. import secrets
from ..catalog.namespace import Namespace
from ..ids import id_map_to_json
from ..ledger.stored import StoredBase, StoredId, StoredPlan
from ..references import COPIED, LEFT_BEHIND, IdMap, Places, Reference, folded
from ..request import CloneRequest
from ..vectors.point import CollectionConfig
from ..vectors.slices import Slice
from .files import FilesPlan
from .planned import PlannedResource
from .restore import (
    Parked,
    Reinstated,
    secrets_to_set,
)
from .warnings import told


@dataclass(frozen=True)
class Plan:
    """All that a clone will do.

    `replaces`: the live generation whose place it takes; None for a new name. `resources` are
    without objects and points, which are read when they are copied. `counts` is how many there are
    of each kind in the source; `bytes` has `objects`, `points` and `disk_needed`, points by an
    estimate. `source_collection` is no alias. The marks are those of `refresh/marks.py`.
    `target_only`: what the replaced namespace has and the source has not, by kind.
    `may_take_alias`: whether an alias may be taken that stands for something else.
    `environments`: what the deployments are called that have the source and the clone;
    `source_catalog` is the identity of the source's catalog where they are two.
    `cleared_before`: what had been cleared already when the source was made, itself a clone.
    `files`: of the files that are copied, once they were looked for; `files_of`: the clone whose
    copies of files are shared. `base`: whose points the lane `delta` begins with.

    Before the points were looked at (`draft_plan`) their count is 0, and `qdrant_config`,
    `equality`, `transport`, `source_mark`, `source_segments` and `warnings` are empty.
    """

    request: CloneRequest
    source: Namespace
    target_organization_id: str
    target_namespace_id: str
    replaces: Namespace | None
    id_map: IdMap
    resources: list[PlannedResource]
    references: list[Reference]
    counts: dict[str, int]
    bytes: dict[str, int]
    source_collection: str
    qdrant_config: CollectionConfig
    equality: str
    lane: str
    lane_reason: str
    warnings: list[str]
    transport: str = ""
    slices: list[Slice] = field(default_factory=lambda: [Slice(0)])
    catalog_mark: str = ""
    source_mark: str = ""
    source_segments: str | None = None
    target_only: dict[str, list[str]] = field(default_factory=dict)
    reinstated: Reinstated = field(default_factory=Reinstated)
    cleared_before: list[Parked] = field(default_factory=list)
    may_take_alias: bool = False
    environments: tuple[str, str] = ("", "")
    source_catalog: str | None = None
    files: FilesPlan | None = None
    files_of: str | None = None
    base: StoredBase | None = None

    @property
    def parked(self) -> list[dict[str, Any]]:
        """What was taken out of the configuration, for a later restore; in another organization's
        ledger only that something was."""
        return [
            told(one, abroad=True) if self.crosses_organizations else asdict(one)
            for one in self.references
            if one.parked is not None
        ]

    @property
    def crosses_organizations(self) -> bool:
        return self.source.organization_id != self.target_organization_id

    def shown(self) -> dict[str, Any]:
        """The plan as whoever asked for it may see it: without secrets."""
        whole = self.to_json()
        shown = secrets.without({"put_back": whole["put_back"], "by_hand": whole["by_hand"]})
        shown["qdrant_config"] = secrets.shown_config(self.qdrant_config)
        references = [told(reference) for reference in self.references]
        return {**whole, **shown, "references": references}

    @property
    def unlisted(self) -> Places:
        """Where ids of the source stand in the configuration that the table knows nothing of."""
        places = Places()
        for one in self.references:
            if one.outcome == "unlisted":
                places.add(one.resource, folded(one.path, one.old))
        return places

    def _ids(self) -> dict[tuple[str, str], StoredId]:
        """One for each resource, not for each version of it; the newest one's name."""
        return {
            (resource.kind, resource.source_id): {
                "kind": resource.kind,
                "name": resource.name,
                "source_id": resource.source_id,
                "target_id": resource.target_id,
            }
            for resource in self.resources
        }

    def to_json(self) -> StoredPlan:
        """The plan for the ledger; the rewritten documents are kept beside it. Of what belongs to
        another organization it says where it stood, and not what it was."""
        outcomes = Counter(reference.outcome for reference in self.references)
        return {
            "source": {
                "environment": self.environments[0],
                "catalog": self.source_catalog,
                "organization_id": self.source.organization_id,
                "namespace_id": self.source.namespace_id,
                "namespace_name": self.source.name,
                "qdrant_collection": self.source_collection,
            },
            "target": {
                "environment": self.environments[1],
                "organization_id": self.target_organization_id,
                "namespace_id": self.target_namespace_id,
                "namespace_name": self.request.namespace_name,
                "replaces_generation": self.replaces.generation if self.replaces else None,
                "not_in_the_source": self.target_only,
            },
            "include_resources": self.request.include_resources.model_dump(),
            "counts": self.counts,
            "bytes": self.bytes,
            "lane": self.lane,
            "lane_reason": self.lane_reason,
            "equality": self.equality,
            "id_map": list(self._ids().values()),
            "reference_counts": dict(sorted(outcomes.items())),
            "references": [
                told(reference, abroad=self.crosses_organizations) for reference in self.references
            ],
            "secrets": {
                "copied": sum(one.reason == COPIED for one in self.references),
                "cleared": sum(one.reason == LEFT_BEHIND for one in self.references),
            },
            "unlisted": self.unlisted.to_json(),
            "put_back": self.reinstated.put_back,
            "by_hand": [*self.reinstated.by_hand, *secrets_to_set(self.references)],
            "cleared_before": self.cleared_before,
            "ids": id_map_to_json(self.id_map),
            "qdrant_config": self.qdrant_config,
            "transport": self.transport,
            "slices": len(self.slices),
            "catalog_mark": self.catalog_mark,
            "source_mark": self.source_mark,
            "source_segments": self.source_segments,
            "files": None if self.files is None else self.files.to_json(),
            "base": self.base,
            "warnings": self.warnings,
        }
