"""A namespace as a folder of JSON files: `load` makes one of it, `dump` writes one."""

from .claim import discard_dead_loads
from .dump import dump
from .load import LoadReport, load
from .rename import Target

__all__ = ["LoadReport", "Target", "discard_dead_loads", "dump", "load"]
