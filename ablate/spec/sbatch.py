"""The sbatch options that a user may set with --slurm, and those for which ablate has its own options."""

# Options for --slurm; without those that ablate sets itself.
OPTIONS = """
    bb bbf begin clusters cluster-constraint comment contiguous core-spec cores-per-socket cpu-freq deadline delay-boot
    dependency distribution exclude exclusive gpu-bind gpu-freq gpus-per-socket gpus-per-task gres gres-flags hint hold
    job-name licenses mail-type mail-user mcs-label mem-bind mem-per-cpu mem-per-gpu mincpus network nice nodefile
    nodelist no-kill ntasks-per-core ntasks-per-socket overcommit oversubscribe power prefer priority profile propagate
    reboot reservation sockets-per-node spread-job switches thread-spec threads-per-core time-min tmp tres-bind
    tres-per-task use-min-nodes wait-all-nodes wckey x11
""".split()  # noqa: SIM905 - readable as a list
# The ablate option to use instead of an sbatch option.
OWN = {
    "account": "--account",
    "constraint": "--constraint",
    "cpus-per-task": "--cpus",
    "gpus": "--gpus-per-run",
    "gpus-per-node": "--gpus-per-run",
    "mem": "--memory",
    "nodes": "--nodes",
    "ntasks-per-node": "--gpus-per-run",
    "partition": "--partition",
    "qos": "--qos",
    "time": "--minutes",
}
