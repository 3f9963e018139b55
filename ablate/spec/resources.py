"""How a run is executed: what must not change its expected result, and so never enters its key.

Each field says here what it means and what it may be; the command line, `ablate.toml` and the checks read that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from difflib import get_close_matches
from typing import Any

from ablate.spec import sbatch, settings
from ablate.spec.errors import SpecError

SECTION = "resources"
# Old names of fields, which files written by earlier versions hold.
RENAMED: Mapping[str, str] = {"allow_broken": "max_corrupt"}


def _said(default: Any, meaning: str, **limits: Any) -> Any:
    """A field with its meaning, and its limits: `least`, `most` or `known`."""
    return field(default=default, metadata={"meaning": meaning, **limits})


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one run may use, where it may run, and what it leaves behind.

    Bit-equal records are promised for an equal CPU type, versions, device, and number of threads and processes: one
    thread or two give different last bits, so these are recorded with the run.
    """

    threads: int = _said(1, "CPU threads of each process that trains.", least=1)
    workers: int = _said(0, "Processes beside each that decode pictures; 0 decodes in the training process.", least=0)
    device: str = _said("auto", "auto (the first CUDA device, else the CPU), or a torch device name.")
    data: Mapping[str, str] = field(default_factory=dict)
    micro_batch: int = _said(0, "Pictures of one forward pass in one process; 0 takes all at once.", least=0)
    compile: bool = _said(False, "Run the model through torch.compile.")
    channels_last: bool = _said(False, "Keep the pictures' channels last in memory.")
    deterministic: bool = _said(False, "Allow only algorithms that give equal bits twice, slower ones where need be.")
    checkpoint_minutes: float = _said(10.0, "Minutes between two checkpoints.", least=0)
    keep: str = _said(
        "final",
        "What stays beside the record: final (weights), all (the checkpoints too), none.",
        known=("all", "final", "none"),
    )
    max_corrupt: float = _said(
        0.001, "Share of a data set's pictures that may fail to decode before the run fails.", least=0, most=1
    )
    tensorboard: bool = _said(False, "Write curves for TensorBoard too.")
    gpus_per_run: int = _said(1, "Processes of a run on each node, one a GPU where there are GPUs.", least=1)
    nodes: int = _said(1, "Nodes of a run; more than 1 needs --on slurm.", least=1)
    cpus: int = _said(0, "Slurm: CPUs of each process; 0 is its threads and workers.", least=0)
    memory: str = _said("", "Slurm: memory of each node, such as 32G; the partition's default where not given.")
    minutes: int = _said(0, "Slurm: time limit of a job; it goes on in the next one. 0 is the partition's.", least=0)
    partition: str = _said("", "Slurm: the partition.")
    account: str = _said("", "Slurm: the account that is charged.")
    qos: str = _said("", "Slurm: the quality of service.")
    constraint: str = _said("", "Slurm: features a node must have.")
    slurm: Mapping[str, str] = field(
        default_factory=dict,
        metadata={"meaning": "Slurm: another option of sbatch, such as reservation=NAME; may be given several times."},
    )
    runs_per_job: int = _said(1, "Slurm: runs that one job trains, one after the other.", least=1)

    def __post_init__(self) -> None:
        for item in options():
            _check(item, getattr(self, item.name))
        for name in self.slurm:
            _check_sbatch(name)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Resources:
        """The resources written down as `fields`, here or by another version.

        Raises:
            SpecError: when they name what this version does not know.
        """
        known = [item.name for item in fields(cls)]
        content = {RENAMED.get(name, name): value for name, value in content.items()}
        if odd := sorted(set(content) - set(known)):
            raise SpecError(
                f"resources name {', '.join(odd)}, which this version of ablate does not know; "
                f"launch the study again with it, known are {', '.join(known)}"
            )
        return cls(**content)

    def to_dict(self) -> dict[str, Any]:
        """All fields with their values: JSON-ready."""
        return asdict(self)

    @property
    def processes(self) -> int:
        """How many processes train one run together."""
        return self.nodes * self.gpus_per_run


def options() -> list[Field[Any]]:
    """The fields that a user sets one by one: all but `data`."""
    return [item for item in fields(Resources) if item.metadata]


def _check(item: Field[Any], value: Any) -> None:
    """Hold a field's value against its type and limits."""
    kind, limits = type(_default(item)), item.metadata
    wanted = {
        bool: "true or false",
        int: f"a whole number, {limits.get('least')} or more",
        float: f"a number, {limits.get('least')} or more",
        str: f"one of {', '.join(limits.get('known', ()))}" if "known" in limits else "a text",
        dict: "a table of sbatch's options, NAME = VALUE",
    }[kind]
    if "most" in limits:
        wanted = f"a number between {limits['least']} and {limits['most']}"
    if not _fits(value, kind, limits):
        raise SpecError(f"{item.name} is {value!r}; wanted is {wanted}")


def _fits(value: Any, kind: type, limits: Mapping[str, Any]) -> bool:
    allowed: Any = {float: (int, float), dict: Mapping}.get(kind, kind)
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        return False
    if kind in (int, float):
        return bool(limits["least"] <= value <= limits.get("most", math.inf) and math.isfinite(value))
    return kind is not str or value in limits.get("known", (value,))


def _default(item: Field[Any]) -> Any:
    return item.default_factory() if callable(item.default_factory) else item.default


def _check_sbatch(name: str) -> None:
    if own := sbatch.OWN.get(name):
        raise SpecError(f"slurm names {name}; wanted is {own}, the option of ablate's own")
    if name not in sbatch.OPTIONS:
        near = get_close_matches(name, sbatch.OPTIONS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise SpecError(f"slurm names {name}, which sbatch does not know; {hint}known are {', '.join(sbatch.OPTIONS)}")


def from_settings() -> dict[str, Any]:
    """What the settings files say under [resources].

    Raises:
        SpecError: when they name what is no resource.
    """
    found = settings.section(SECTION)
    known = [item.name for item in options()]
    for name in found:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            hint = f"it is now called {RENAMED[name]}; " if name in RENAMED else hint
            raise SpecError(f"{settings.NAME} sets {SECTION}.{name}; {hint}known are {', '.join(known)}")
    if isinstance(extra := found.get("slurm"), dict):
        found["slurm"] = {name: str(value) for name, value in extra.items()}
    return found
