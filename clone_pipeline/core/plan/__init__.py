"""From a request to a clone in the ledger: the plan, its name taken, its lease held."""
