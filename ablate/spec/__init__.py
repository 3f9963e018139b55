"""What one run is, and which resources it may use."""
