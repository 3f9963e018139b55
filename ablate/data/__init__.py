"""Datasets, and the batches of images that a run reads from them."""
