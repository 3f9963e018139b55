"""How a run is executed: settings that must not change its expected result, and so never enter its key.

Each field declares its meaning and its valid values; the command line, `ablate.toml` and the checks use them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from typing import Any

from ablate.spec import sbatch, settings
from ablate.spec.checks import (
    anything,
    at_least,
    checked,
    device_name,
    memory_size,
    not_negative,
    one_line,
    one_of,
    probability,
    validate,
)
from ablate.spec.errors import SpecError, known_names

# Limits that only a mistake exceeds.
MOST_CPUS, MOST = 4_096, 10**6
SECTION = "resources"
# Old names of fields, which files written by earlier versions hold.
RENAMED: Mapping[str, str] = {"allow_broken": "max_corrupt"}


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one run may use, where it may run, and which files it keeps.

    Records are equal bit for bit only for equal CPU type, versions, device, and numbers of threads and processes. One
    thread and two give different last bits, so the record of a run contains these settings.

    Raises:
        SpecError: when a value is invalid; the message names the field.
    """

    threads: int = checked(1, "CPU threads of each training process.", at_least(1, MOST_CPUS))
    workers: int = checked(
        0, "Loader processes per training process; 0 decodes images in the training process.", at_least(0, MOST_CPUS)
    )
    device: str = checked(
        "auto",
        "auto (the first CUDA device, else the CPU) or the name of a torch device, such as cpu, cuda, cuda:0 or mps.",
        device_name,
    )
    data: Mapping[str, str] = field(default_factory=dict)
    micro_batch: int = checked(
        0, "Images per forward pass in one process; 0 takes the whole batch at once.", at_least(0, MOST)
    )
    compile: bool = checked(False, "Compile the model with torch.compile.")
    channels_last: bool = checked(False, "Use the channels-last memory format.")
    deterministic: bool = checked(False, "Use only deterministic algorithms, even where they are slower.")
    checkpoint_minutes: float = checked(10.0, "Minutes between two checkpoints.", not_negative)
    keep: str = checked(
        "final",
        "Files to keep in addition to the record: final (weights), all (weights and checkpoints) or none.",
        one_of("all", "final", "none"),
    )
    max_corrupt: float = checked(
        0.001, "Largest share of images that may be corrupt (not decodable); a run fails above it.", probability
    )
    tensorboard: bool = checked(False, "Write training curves for TensorBoard.")
    gpus_per_run: int = checked(
        1, "Training processes per node, one per GPU if there are GPUs.", at_least(1, MOST_CPUS)
    )
    nodes: int = checked(1, "Nodes per run; more than 1 requires --on slurm.", at_least(1, MOST))
    cpus: int = checked(
        0, "Slurm: CPUs per process; 0 requests one per thread and loader process.", at_least(0, MOST_CPUS)
    )
    memory: str = checked(
        "", "Slurm: memory per node, such as 32G; empty uses the default of the partition.", memory_size
    )
    minutes: int = checked(
        0,
        "Slurm: time limit of a job; the next job resumes the run. 0 is half more than its runs are expected to take, "
        "or the limit of the partition where that is not known.",
        at_least(0, MOST),
    )
    partition: str = checked("", "Slurm: partition.", one_line)
    account: str = checked("", "Slurm: account to charge.", one_line)
    qos: str = checked("", "Slurm: quality of service.", one_line)
    constraint: str = checked("", "Slurm: features that the nodes must have.", one_line)
    slurm: Mapping[str, str] = field(
        default_factory=dict,
        metadata={"meaning": "Slurm: another sbatch option, such as reservation=NAME; repeatable.", "check": anything},
    )
    minutes_per_job: float = checked(
        10.0, "Slurm: short runs share jobs of about so many minutes; 0 gives each run a job.", at_least(0, MOST)
    )
    run_minutes: float = checked(
        0.0, "Slurm: expected minutes of a run; 0 takes them from records and probes.", at_least(0, MOST)
    )
    runs_per_job: int = checked(
        0, "Slurm: runs per job, one after the other; 0 takes as many as --minutes-per-job holds.", at_least(0, MOST)
    )

    def __post_init__(self) -> None:
        for item in options():
            object.__setattr__(self, item.name, validate(item, getattr(self, item.name)))
        sbatch.check(self.slurm)
        sbatch.check_memory(self.memory, self.slurm)
        if (found := sbatch.gpus_in(self.slurm.get("gres", ""))) not in (0, self.gpus_per_run):
            raise SpecError(f"slurm option gres requests {found} GPUs, and gpus_per_run is {self.gpus_per_run}")
        if self.device_index is not None and self.gpus_per_run > 1:
            raise SpecError(
                f"device {self.device} is one GPU, and gpus_per_run is {self.gpus_per_run}; use --device cuda"
            )

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Resources:
        """Return the resources that a mapping of fields describes, written by this or an earlier version.

        Raises:
            SpecError: when a field is unknown to this version.
        """
        content = {RENAMED.get(name, name): value for name, value in content.items()}
        known = [item.name for item in fields(cls)]
        content = {RENAMED.get(name, name): value for name, value in content.items()}
        if odd := sorted(set(content) - set(known)):
            raise SpecError(
                f"this version of ablate knows no resources {', '.join(odd)}; launch the study again with this "
                f"version, which knows {', '.join(known)}"
            )
        return cls(**content)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields with their values, ready for JSON."""
        return asdict(self)

    @property
    def uses_cuda(self) -> bool:
        """Whether runs use CUDA devices; with "auto", where there are any."""
        return self.device == "auto" or self.device.startswith("cuda")

    @property
    def device_index(self) -> int | None:
        """Number of the device, such as 1 for cuda:1."""
        _, colon, index = self.device.partition(":")
        return int(index) if colon else None

    @property
    def processes(self) -> int:
        """Number of processes that train one run together."""
        return self.nodes * self.gpus_per_run


def options() -> list[Field[Any]]:
    """Return the fields that are options of commands: all but `data`."""
    return [item for item in fields(Resources) if item.metadata]


def from_settings() -> dict[str, Any]:
    """Return the table [resources] of the settings files.

    Raises:
        SpecError: when it contains an unknown name.
    """
    found = settings.section(SECTION)
    known = [item.name for item in options()]
    for name in found:
        if name not in known:
            hint = f"it is now called {RENAMED[name]}" if name in RENAMED else known_names(name, known)
            raise SpecError(f"{settings.NAME} sets the unknown {SECTION}.{name}; {hint}")
    if isinstance(extra := found.get("slurm"), dict):
        flags = {True: "", False: None}
        texts = {name: flags[value] if isinstance(value, bool) else str(value) for name, value in extra.items()}
        found["slurm"] = {name: text for name, text in texts.items() if text is not None}
    return found
