"""What a process of `forks.server()` finds done: the imports of the command line and of a run, but
for `clone_pipeline.definitions`, which reads the policies; and Dagster's empty files."""

# ruff: noqa: F401

import alembic.command
import dagster._core.executor.in_process
import dagster._core.instance.factory
import dagster._core.storage.local_compute_log_manager
import dagster._core.storage.root
import dagster._core.utility_ops
import dagster._daemon.controller
import psycopg
import upath.implementations.local

import clone_pipeline.cli.main
import clone_pipeline.core.bundle
import clone_pipeline.core.vectors.embedded
import clone_pipeline.core.vectors.server
import clone_pipeline.defs.assets
import clone_pipeline.defs.checks
import clone_pipeline.defs.history
import clone_pipeline.defs.jobs
import clone_pipeline.defs.schedules
import clone_pipeline.defs.sensors
import clone_pipeline.launch
import clone_pipeline_tests.faults.bundles
import clone_pipeline_tests.faults.ticks
import clone_pipeline_tests.harness
from clone_pipeline_tests.dagster_files import empty_files

empty_files()
