"""Where Slurm jobs submitted by version 0.1 look for their task: submitit pickles it by name."""

import sys

from ablate.dispatch import slurm_task

sys.modules["ablate.launch.task"] = slurm_task
