"""Copying points, measured from outside: ours, the official tools, and Qdrant's own snapshots."""
