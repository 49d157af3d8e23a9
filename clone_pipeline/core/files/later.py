"""The copies of a published clone at any later time: still there, and still what was proven."""

from __future__ import annotations

from contextlib import closing

from ..ids import id_map_from_json
from ..ledger.clones import Clone
from ..ledger.files import FileRow, read_files
from ..points.retry import Retry
from ..stores import Stores
from .crew import several
from .proof import Prover
from .store import Files


def look_again(stores: Stores, clone: Clone) -> tuple[int, list[str]]:
    """How many copies there must be, and what is wrong with which. Asks for each, reads none.

    Raises StoreUnavailable.
    """
    files = id_map_from_json(clone.plan["ids"]).files
    if files is None:
        return 0, []
    count, wrong = 0, list[str]()
    with closing(Files.open(stores.files)) as target:
        prover = Prover(target, target, files.bucket)

        def check(row: FileRow) -> str | None:
            return prover.check(row, read_back=False)[0]

        rows = read_files(stores.catalog, clone.clone_id, "copied")
        with closing(several(rows, check, Retry(stores))) as checked:
            for row, problem in checked:
                count += 1
                if problem is not None:
                    wrong.append(f"the copy of {row.source} {problem}")
    return count, sorted(wrong)
