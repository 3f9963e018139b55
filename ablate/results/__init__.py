"""Records to tables, statistics and verdicts."""
