"""Source files in S3: looked at, never written."""
