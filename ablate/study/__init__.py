"""A question to variants to runs."""
