"""The catalog's records of a clone: written, read back, digested."""
