"""One page about a clone, or about all clones or archives that a policy has made."""
