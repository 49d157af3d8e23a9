"""The points of a clone: read, rewritten, written, compared and caught up, slice by slice."""
