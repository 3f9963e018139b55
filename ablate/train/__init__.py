"""One run to its record."""
