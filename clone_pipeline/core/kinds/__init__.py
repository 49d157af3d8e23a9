"""One module per resource type, one contract."""
