"""The processes that train one run together: who they are, and what they tell each other.

torchrun or Slurm starts them; each finds its place in the environment. Tensors on a GPU travel by NCCL, all else by
gloo. Nothing here imports torch before it must, so that a command may ask `is_main` at once.
"""

from __future__ import annotations

import atexit
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ablate.spec.errors import SpecError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

TIMEOUT_MIN = 10  # a process that waits longer for another fails, and says so
PORTS = range(20_000, 40_000)

Place = tuple[int, int, int]


@dataclass(frozen=True)
class World:
    """This process among those that train a run; every method is called by all of them, in the same order.

    Args:
        rank: of this process among all.
        size: number of processes.
        local_rank: of this process on its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def main(self) -> bool:
        """Whether this process keeps the records."""
        return self.rank == 0

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all processes, (n, …), in the order of ranks; each process may give another number of them."""
        if self.size == 1:
            return rows
        import torch
        from torch import distributed

        length = torch.tensor([len(rows)], device=rows.device)
        lengths = [torch.empty_like(length) for _ in range(self.size)]
        distributed.all_gather(lengths, length)
        longest = max(int(one) for one in lengths)
        padded = rows.new_zeros(longest, *rows.shape[1:])
        padded[: len(rows)] = rows
        found = [torch.empty_like(padded) for _ in range(self.size)]
        distributed.all_gather(found, padded)
        return torch.cat([part[: int(one)] for part, one in zip(found, lengths, strict=True)])

    def most(self, values: Sequence[int]) -> list[int]:
        """Each place's largest value over processes."""
        if self.size == 1:
            return list(values)
        import torch
        from torch import distributed

        together = torch.tensor(values)
        distributed.all_reduce(together, distributed.ReduceOp.MAX)
        return [int(value) for value in together]

    def all(self, value: Any) -> list[Any]:
        """What each process gives, in the order of ranks; plain data, for what is said rarely."""
        if self.size == 1:
            return [value]
        from torch import distributed

        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, value)
        return found

    def from_main(self, value: Any) -> Any:
        """What the main process gives; plain data."""
        if self.size == 1:
            return value
        import torch
        from torch import distributed

        told = [value]
        distributed.broadcast_object_list(told, src=0, device=torch.device("cpu"))
        return told[0]

    def share_gradients(self, model: nn.Module) -> nn.Module:
        """The model, its gradients averaged over processes after each backward pass."""
        if self.size == 1:
            return model
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(model, gradient_as_bucket_view=True, broadcast_buffers=False)

    def device(self, name: str) -> torch.device:
        """A device by name; "auto" is this process's own GPU, else the CPU."""
        import torch

        if name == "auto" and not torch.cuda.is_available():
            return torch.device("cpu")
        if name not in ("auto", "cuda") or self.size == 1:
            return torch.device("cuda" if name == "auto" else name)
        device = torch.device("cuda", self.local_rank % torch.cuda.device_count())
        torch.cuda.set_device(device)
        return device


ALONE = World()


def _from_torchrun() -> Place | None:
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return None
    return _number("RANK"), _number("WORLD_SIZE"), _number("LOCAL_RANK", "0")


def _from_slurm() -> Place | None:
    """The place in a step that srun started; a batch script, where SLURM_NTASKS stands too, is no step."""
    if "SLURM_STEP_ID" not in os.environ or "SLURM_PROCID" not in os.environ:
        return None
    size = "SLURM_STEP_NUM_TASKS" if "SLURM_STEP_NUM_TASKS" in os.environ else "SLURM_NTASKS"
    return _number("SLURM_PROCID"), _number(size, "1"), _number("SLURM_LOCALID", "0")


def _number(name: str, usual: str = "") -> int:
    value = os.environ.get(name, usual)
    if not value.isdigit():
        raise SpecError(
            f"{name} is {value!r} in the environment; wanted is a whole number, as torchrun and srun set it"
        )
    return int(value)


def place() -> World:
    """This process's place by the environment alone.

    Raises:
        SpecError: when the environment holds no number where one belongs.
    """
    rank, size, local_rank = _from_torchrun() or _from_slurm() or (0, 1, 0)
    return World(rank, size, local_rank) if size > 1 else ALONE


def is_main() -> bool:
    """Whether this process is the one that prints and writes; asked of the environment, without torch."""
    return place().main


def alone() -> bool:
    """Whether this process trains by itself; asked of the environment, without torch."""
    return place().size == 1


def join() -> World:
    """This process's place, after it has met the others; they stay together until the process ends.

    Raises:
        SpecError: when nothing says where the others are.
    """
    world = place()
    if world.size == 1:
        return world
    from torch import cuda, distributed

    if not distributed.is_initialized():
        _set_address()
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if cuda.is_available() else "gloo",
            rank=world.rank,
            world_size=world.size,
            timeout=timedelta(minutes=TIMEOUT_MIN),
        )
        atexit.register(_part)
    return world


def skip_shutdown() -> None:
    """Let this process end without a word to the others, after a failure that they may not share."""
    atexit.unregister(_part)


def _part() -> None:
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()


def _set_address() -> None:
    """Where the processes meet, as torch reads it: as given, else on the first machine of the Slurm job."""
    if "MASTER_ADDR" not in os.environ:
        nodes = os.environ.get("SLURM_STEP_NODELIST") or os.environ.get("SLURM_JOB_NODELIST")
        if not nodes:
            raise SpecError("MASTER_ADDR is not set; start the processes by torchrun or srun, or set it")
        os.environ["MASTER_ADDR"] = first_host(nodes)
    job = os.environ.get("SLURM_JOB_ID", "0")
    os.environ.setdefault("MASTER_PORT", str(PORTS[int(job) % len(PORTS)]))


def first_host(nodes: str) -> str:
    """The first host of Slurm's list, such as node07 of "node[07-09,12],gpu1"."""
    found = re.match(r"([^,\[]+)(?:\[(\w+)[^\]]*\]([^,]*))?", nodes)
    if not found:
        raise SpecError(f"the list of nodes is {nodes!r}; wanted is Slurm's form, such as node[01-04]")
    return "".join(part or "" for part in found.groups())
