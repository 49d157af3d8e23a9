"""A namespace as a folder of JSON files: `load` makes one of it, `dump` writes one."""

from .dump import dump
from .load import LoadReport, load
from .reservation import discard_dead_loads

__all__ = ["LoadReport", "discard_dead_loads", "dump", "load"]
