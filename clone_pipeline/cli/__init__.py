"""The command line. Exit codes: 0 good, 1 the work failed, 2 bad input."""

from clone_pipeline.cli.main import main

__all__ = ["main"]
