"""The model of a run, and its cost in parameters, operations and activations."""
