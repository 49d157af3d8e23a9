"""The demo namespace."""
