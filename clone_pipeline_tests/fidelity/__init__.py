"""What becomes of every kind of value: measured on a real server, and shown in docs/fidelity.md."""
