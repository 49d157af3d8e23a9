"""Clone a search namespace: planned, resumable, proven equal, published in one step."""
