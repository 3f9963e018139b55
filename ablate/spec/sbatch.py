"""The sbatch options that a user may set with --slurm, and those for which ablate has its own options."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ablate.spec.errors import SpecError, known_names

# Options for --slurm; without those that ablate sets itself.
OPTIONS = """
    bb bbf begin clusters cluster-constraint comment contiguous core-spec cores-per-socket cpu-freq deadline delay-boot
    dependency distribution exclude exclusive gpu-bind gpu-freq gpus-per-socket gpus-per-task gres gres-flags hint hold
    job-name licenses mail-type mail-user mcs-label mem-bind mem-per-cpu mem-per-gpu mincpus network nice nodefile
    nodelist no-kill ntasks-per-core ntasks-per-socket overcommit oversubscribe power prefer priority profile propagate
    reboot reservation sockets-per-node spread-job switches thread-spec threads-per-core time-min tmp tres-bind
    tres-per-task use-min-nodes wait-all-nodes wckey x11
""".split()  # noqa: SIM905 - readable as a list
FLAGS = frozenset("contiguous hold overcommit oversubscribe reboot spread-job use-min-nodes".split())  # noqa: SIM905
VALUE_OPTIONAL = frozenset("exclusive nice no-kill propagate x11".split())  # noqa: SIM905
# The ablate option to use instead of an sbatch option; "" where there is none.
OWN = {
    "account": "--account",
    "array": "",
    "chdir": "",
    "constraint": "--constraint",
    "cpus-per-gpu": "--cpus",
    "cpus-per-task": "--cpus",
    "error": "",
    "export": "",
    "gpus": "--gpus-per-run",
    "gpus-per-node": "--gpus-per-run",
    "mem": "--memory",
    "no-requeue": "",
    "nodes": "--nodes",
    "ntasks": "--gpus-per-run",
    "ntasks-per-gpu": "--gpus-per-run",
    "ntasks-per-node": "--gpus-per-run",
    "open-mode": "",
    "output": "",
    "partition": "--partition",
    "qos": "--qos",
    "requeue": "",
    "signal": "",
    "time": "--minutes",
}
MEMORY = ("mem-per-cpu", "mem-per-gpu")  # sbatch accepts one of these and mem


def check(options: Mapping[str, str]) -> None:
    """Check the options that a user gives.

    Raises:
        SpecError: for an unknown name, one that ablate sets itself, and a value that is missing, or that sbatch would
            not read.
    """
    for name, value in options.items():
        if name in OWN:
            raise SpecError(
                f"slurm option {name} must be set with {OWN[name]}"
                if OWN[name]
                else f"slurm option {name} is set by ablate itself; leave it out"
            )
        if not isinstance(value, str):
            raise SpecError(f"slurm option {name} must be text, in quotes, got {value!r}")
        if name not in OPTIONS:
            raise SpecError(f"sbatch has no option {name}; {known_names(name, OPTIONS)}")
        if name in FLAGS and value:
            raise SpecError(f"slurm option {name} has no value, got {value!r}; use --slurm {name}")
        if not value and name not in FLAGS | VALUE_OPTIONAL:
            raise SpecError(f"slurm option {name} needs a value; use --slurm {name}=VALUE")
        if not value.isprintable():
            raise SpecError(f"slurm option {name} must be printable text on one line, got {value!r}")


def check_memory(memory: str, options: Mapping[str, str]) -> None:
    """Check that memory is requested in one way only.

    Raises:
        SpecError: when two requests exclude each other.
    """
    given = [f"--memory {memory}"] if memory else []
    given += [f"--slurm {name}={options[name]}" for name in MEMORY if name in options]
    if len(given) > 1:
        raise SpecError(f"sbatch accepts only one request for memory, got {' and '.join(given)}; keep one of them")


def gpus_in(gres: str) -> int:
    """Return the number of GPUs that a list of generic resources requests, such as 4 for "gpu:a100:4,tmp:1"."""
    found = (re.fullmatch(r"(?:gres[:/])?gpu(?::[A-Za-z][^:]*)?(?::(\d+))?", entry) for entry in gres.split(","))
    return sum(int(one[1] or 1) for one in found if one)
