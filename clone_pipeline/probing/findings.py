"""What a check has found: one sentence each, of one store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

from clone_pipeline.core.errors import CloneError, unexpected
from clone_pipeline.core.request import DEFAULT_ENVIRONMENT
from clone_pipeline.core.words import Part, as_text, without_hints

Store = Literal["settings", "catalog", "qdrant", "files"]
Level = Literal["ok", "skipped", "warning", "failed"]

# What is written for a moment, wherever that is, begins so: whoever finds one may remove it.
CANARY = "clone_pipeline_check_"

# The keys of an environment, as they are called where the variables describe it.
_VARIABLES = {
    "catalog_url": "CATALOG_URL",
    "api_key": "CLONE_PIPELINE_API_KEY",
    "qdrant.url": "QDRANT_URL",
    "qdrant.api_key": "QDRANT_API_KEY",
    "qdrant.read_only_api_key": "QDRANT_SOURCE_API_KEY",
}


def spelled(environment: str, key: str) -> str:
    """A key of an environment as its owner has to write it."""
    return _VARIABLES[key] if environment == DEFAULT_ENVIRONMENT else f"`{key}`"


@dataclass(frozen=True)
class Finding:
    store: Store
    level: Level
    sentence: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Findings:
    """Those of one environment, in the order in which they were made."""

    def __init__(self) -> None:
        self.all: list[Finding] = []

    def add(self, store: Store, level: Level, *said: Part) -> None:
        """`said` is masked by whoever raised it, and else holds nothing secret."""
        self.all.append(Finding(store, level, as_text(said, without_hints)))

    @contextmanager
    def trying(self, store: Store, advice: str = "") -> Iterator[None]:
        """What is raised becomes a failure of this store, so that the others are still looked at.
        `advice` is one more clause for it."""
        try:
            yield
        except CloneError as error:
            self._fail(store, error, advice)
        except Exception as error:
            self._fail(store, unexpected(error), advice)

    def _fail(self, store: Store, error: CloneError, advice: str) -> None:
        sentence = " ".join(as_text(error.said, without_hints).split())
        self.add(store, "failed", f"{sentence.rstrip('.')}; {advice}." if advice else sentence)
