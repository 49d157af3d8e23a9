"""Whole runs on Celery workers, over real brokers."""
