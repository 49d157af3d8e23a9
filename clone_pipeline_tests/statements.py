"""Statements are compiled once for the catalogs of all tests, and not for each test's anew.

SQLAlchemy keeps what it has compiled by engine, and a tenth of all time of a test with a fresh
catalog went into the same statements again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import Engine

from clone_pipeline.core.catalog import engine

_MOST = 5000


@contextmanager
def compiled_once() -> Iterator[None]:
    """For as long as it lasts."""
    kept: dict[str, _OfAllEngines] = {}
    create: Callable[..., Engine] = engine.create_engine

    def sharing(*args: Any, **options: Any) -> Engine:
        made = create(*args, **options)
        cache = kept.setdefault(made.dialect.name, _OfAllEngines())
        made.update_execution_options(compiled_cache=cache)
        return made

    with patch.object(engine, "create_engine", sharing):
        yield


class _OfAllEngines(dict[tuple[Any, ...], Any]):
    """Of a key the engine's own dialect goes: ours are all alike but for their address."""

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        if len(self) > _MOST:
            self.clear()
        super().__setitem__(key[1:], compiled)
