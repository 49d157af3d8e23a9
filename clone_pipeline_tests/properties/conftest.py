from __future__ import annotations

from collections.abc import Iterator

import pytest

from clone_pipeline.core.references import unlisted


@pytest.fixture(scope="module", autouse=True)
def _every_place_is_told() -> Iterator[None]:
    """So that what is told can be counted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unlisted, "LISTED", 10_000)
        yield
