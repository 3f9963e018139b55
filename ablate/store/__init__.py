"""What is on disk: the root, the cache, records, and records as rows."""
