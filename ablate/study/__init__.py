"""From a question to variants and runs."""
