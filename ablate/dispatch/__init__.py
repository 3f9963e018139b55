"""Runs to workers, on this machine or on Slurm: who trains what, and what became of it."""
