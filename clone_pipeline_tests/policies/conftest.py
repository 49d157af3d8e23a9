"""Dagster asks the machine with a program of its own what it is when it is loaded: here, and not in
the first test, where a process would be refused."""

import dagster  # noqa: F401
