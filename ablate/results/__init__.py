"""From records to tables, statistics and verdicts."""
