"""A run to a network, and what it costs in parameters, operations and activations."""
