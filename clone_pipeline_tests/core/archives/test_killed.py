"""A process that writes an archive is killed, at each moment: the next run finishes its work."""

from __future__ import annotations

from pathlib import Path

import pytest

from clone_pipeline.core.archives import records
from clone_pipeline.core.archives.restore_test import run_archive_test
from clone_pipeline.core.archives.write import Wanted, archive_namespace
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline_tests import forks, harness
from clone_pipeline_tests.cli.prod import prod

pytestmark = pytest.mark.outside

_DIES = """
import os, sys
from pathlib import Path
from clone_pipeline.core.archives.write import Wanted, archive_namespace
from clone_pipeline.core.bundle.archive.folder import FolderPlace
from clone_pipeline.core.principal import LOCAL_OPERATOR
from clone_pipeline_tests import harness

left, done = [int(sys.argv[3])], FolderPlace.write

def dying(self, name, data, over="anything"):
    version = done(self, name, data, over)
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), 9)
    return version

FolderPlace.write = dying
with harness.open_stores(Path(sys.argv[1])) as stores:
    archive_namespace(stores, Wanted("prod", sys.argv[2], policy="nightly"), LOCAL_OPERATOR, "one")
"""


def die(home: Path, address: str, writes: int) -> int:
    arguments = (str(home), address, str(writes))
    done = forks.server().run(_DIES, *arguments, cwd=home.parent, env=forks.environment())
    return done.returncode


@pytest.mark.parametrize(
    "writes", [1, 3, 9, *(pytest.param(one, marks=pytest.mark.long) for one in (2, 4, 5, 6, 7, 8))]
)
def test_the_next_run_finishes_it(tmp_path: Path, writes: int) -> None:
    home, address = tmp_path / "home", (tmp_path / "out" / "night").as_uri()
    with harness.holding(home, prod()):
        pass
    assert die(home, address, writes) == -9
    with harness.open_stores(home) as stores:
        with stores.catalog.read() as connection:
            (left,) = records.list_archives(connection, None, "writing")
        made = archive_namespace(
            stores, Wanted("prod", address, policy="nightly"), LOCAL_OPERATOR, "two"
        )
        assert (made.key, made.status, made.run_id) == (left.key, "ready", "two")
        assert run_archive_test(stores, LOCAL_OPERATOR, made, "test").good
    names = {path.name for path in (tmp_path / "out" / "night").iterdir()}
    assert "manifest.json" in names
