"""The S3 files that a clone owns: which there are, copying, proving and removing them."""
