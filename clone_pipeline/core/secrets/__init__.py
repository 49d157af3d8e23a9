"""Secrets: by what they are known, and what may be shown or moved of a document."""

from .documents import clear, places, shown_config, without
from .names import names_a_secret
from .shapes import mask

__all__ = ["clear", "mask", "names_a_secret", "places", "shown_config", "without"]
