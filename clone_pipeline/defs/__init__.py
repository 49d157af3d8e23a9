"""What is Dagster's: job, ops, assets, checks, schedules, sensors and their resources."""
