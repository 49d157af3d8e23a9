"""One page about a clone, or about all that a policy has made."""
