"""The proof: that a clone equals what was read, rewritten; and, later, that it still does."""

from ..difference import Difference
from .clone import verify_clone
from .later import Verdict, verify_pair, verify_sealed

__all__ = ["Difference", "Verdict", "verify_clone", "verify_pair", "verify_sealed"]
