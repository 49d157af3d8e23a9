"""Two deployments beside each other, the second of which knows the first one as `production`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from clone_pipeline.core.stores import Stores
from clone_pipeline.deployment import open_stores
from clone_pipeline.settings import Settings

from .. import harness
from ..sources import Files

PRODUCTION, STAGING = "production", "staging"


def write_environments(folder: Path, *, map: Any = None, **environments: Any) -> Path:
    file = folder / "environments.yaml"
    file.write_text(yaml.safe_dump({"environments": environments, "map": map}))
    return file


def settings(home: Path, environments: Path) -> Settings:
    """As the variables would have them."""
    return Settings(**{"CLONE_PIPELINE_HOME": home, "CLONE_ENVIRONMENTS": environments})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Known:
    """One other environment, whose stores the test has opened."""

    name: str
    stores: Stores

    def open(self, name: str) -> Stores:
        assert name == self.name
        return replace(self.stores, environment=name)

    def counterparts(self, source: str, target: str) -> dict[str, dict[str, str]]:
        return {}

    def close(self) -> None:
        """They are the test's."""


@contextmanager
def two_deployments(
    folder: Path, *sources: Files | Path, internal_id: str = "{}_there", map: Any = None
) -> Iterator[tuple[Stores, Stores]]:
    """Production, which holds the sources, and staging, on embedded stores. Staging has the
    organizations that production has; `internal_id` makes theirs of those in production."""
    with harness.holding(folder / PRODUCTION, *sources) as production:
        file = write_environments(
            folder, map=map, production={"access": "read", "home": str(folder / PRODUCTION)}
        )
        staging = open_stores(settings(folder / STAGING, file))
        try:
            harness.same_organizations(production, staging, internal_id)
            yield production, staging
        finally:
            staging.close()
