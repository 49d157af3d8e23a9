"""Everything a clone is made of. Knows nothing of Dagster, the command line or HTTP."""
