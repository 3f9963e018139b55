"""What one run is, and what it may use."""
