"""`kill -9` of a dump: the next one into the same folder removes what is left, and only that."""

from __future__ import annotations

from pathlib import Path

import pytest

from clone_pipeline.core.bundle.output import new_folder
from clone_pipeline_tests import forks

pytestmark = pytest.mark.outside

_DIES = """
import os, sys
from pathlib import Path
from clone_pipeline.core.bundle.output import new_folder
with new_folder(Path(sys.argv[1])) as output:
    output.write("points.jsonl", [b"half"])
    os.kill(os.getpid(), 9)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_next_dump_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    out = tmp_path / "out[1]"
    for _ in range(2):
        done = forks.server().run(_DIES, str(out), cwd=tmp_path, env=forks.environment())
        assert done.returncode == -9
    left = names(tmp_path)
    assert len(left) == 1, "the second one has removed what the first one left"
    # Neither another folder's, nor what only looks like it.
    (tmp_path / ".out[1].unfinished-link").symlink_to(tmp_path)
    (tmp_path / ".out1.unfinished-other").mkdir()
    with new_folder(out) as output:
        output.write("points.jsonl", [b"whole"])
    assert names(tmp_path) == [".out1.unfinished-other", ".out[1].unfinished-link", "out[1]"]


def test_a_dump_that_is_still_written_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with new_folder(out) as first:
        first.write("a", [b"a"])
        before = names(tmp_path)
        with new_folder(tmp_path / "out") as second:
            second.write("b", [b"b"])
            assert set(before) < set(names(tmp_path))
        out.joinpath("b").unlink()
    assert names(out) == ["a"]
