"""Backups as archives, outside of our stores: written and read back, tested, kept and removed."""
