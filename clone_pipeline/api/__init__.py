"""The HTTP API: the door that Mixpeek's own client can call."""
