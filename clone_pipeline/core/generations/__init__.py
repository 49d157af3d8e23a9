"""What stands under a name: published, rolled back, kept, swept and deleted."""
