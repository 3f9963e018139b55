"""The module name under which submitit pickled the task of Slurm jobs that earlier versions submitted."""

import sys

from ablate.dispatch import slurm_task

sys.modules["ablate.launch.task"] = slurm_task
