"""Launches of runs, on this machine or on Slurm: which worker trains which run, and the state of each."""
