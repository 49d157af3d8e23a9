"""The jobs: how the steps of a clone depend on each other, archives, sweep and restore test."""

import dagster as dg

from clone_pipeline.core.kinds import COLLECTION, KINDS
from clone_pipeline.defs import ops
from clone_pipeline.defs.config import (
    archive_at_the_root,
    request_at_the_root,
    restore_test_at_the_root,
    sweep_at_the_root,
)


@dg.job(config=request_at_the_root, tags={"clone/job": "clone_namespace"})
def clone_namespace() -> None:
    """Make a full, proven copy of a namespace.

    Planned before anything is written, resumable after any crash, proven equal to its source
    before it is called ready, published in one step or not at all. The source is never written.
    """
    reports = {"namespace": ops.clone_config(ops.plan_clone())}
    for kind in KINDS:
        reports[kind.plural] = ops.CLONE_KIND[kind.name](reports[kind.after])
    last = {name: reports[name] for name in ops.LAST_KINDS}
    points = ops.copy_points(reports[COLLECTION.plural])
    files = ops.copy_files(points=points, **last)
    ops.publish_clone(ops.verify_clone(files))


@dg.job(config=archive_at_the_root, tags={"clone/job": "archive_namespace"})
def archive_namespace() -> None:
    """Write a namespace as an archive outside of these stores.

    Read back whole before it counts: every part by its checksum, every point and record by the
    digests of what was read from the stores. The source is never written.
    """
    ops.write_archive()


@dg.job(config=sweep_at_the_root, tags={"clone/job": "sweep_namespaces"})
def sweep_namespaces() -> None:
    """Remove what has had its time: surplus backups, expired clones, leftovers, old generations.

    Lists what goes and what stays before it begins. Nothing that clone-pipeline did not make goes,
    nothing that a run uses, not the last proven backup of a policy, and of S3 files only what was
    copied for a clone that goes.
    """
    ops.sweep()


@dg.job(config=restore_test_at_the_root, tags={"clone/job": "test_restore"})
def test_restore() -> None:
    """Prove that a backup can be restored.

    Compares it with the digests sealed when it was made, makes a scratch namespace of it with full
    proof, searches that, and drops it. Nothing acts in the scratch namespace.
    """
    ops.try_restore()
