"""The proof: that a clone equals what was read, rewritten; and, later, that it still does."""

from ..difference import Difference
from .again import Verdict, verify_pair, verify_sealed
from .step import help_proving, verify_clone

__all__ = ["Difference", "Verdict", "help_proving", "verify_clone", "verify_pair", "verify_sealed"]
