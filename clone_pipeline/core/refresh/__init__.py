"""When a refresh runs, and what it goes by."""
