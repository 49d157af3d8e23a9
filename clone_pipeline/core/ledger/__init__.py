"""The ledger: what a clone is to do, how far it is, and which run holds it."""
