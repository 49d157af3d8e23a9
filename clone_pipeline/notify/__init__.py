"""Alarms about policies: what is wrong, who was told of it, and how to tell them."""
