"""The processes that train one run together, and their collective operations.

torchrun, Slurm or this package starts them; each reads its rank from the environment. Tensors on a GPU use NCCL,
everything else uses gloo. torch is imported only when needed, so that commands can call `is_main` quickly.
"""

from __future__ import annotations

import atexit
import os
import re
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.spec.errors import SpecError
from ablate.train import devices

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

TIMEOUT_MIN = 10  # a process that waits longer for another one fails with a message
PORTS = range(20_000, 32_768)  # below those that systems give to clients
LAUNCHER = re.compile(rb"torchrun|torch[./]distributed|accelerate")
INTERACTIVE_STEPS = ("interactive", "batch", "4294967290", "4294967291")  # of salloc and sbatch
LOOPBACK = ("127.0.0.1", "localhost", "::1")

Ranks = tuple[int, int, int]  # rank, size, local rank


@dataclass(frozen=True)
class World:
    """This process among those that train a run. All processes must call the same methods in the same order.

    Args:
        rank: rank of this process.
        size: number of processes.
        local_rank: rank of this process on its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def main(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def gather(self, rows: Tensor) -> Tensor:
        """Concatenate rows (n, …) of all processes in the order of ranks; n may differ between processes."""
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

    def maximum(self, values: Sequence[int]) -> list[int]:
        """Return the elementwise maximum over processes."""
        if self.size == 1:
            return list(values)
        import torch
        from torch import distributed

        together = torch.tensor(values)
        distributed.all_reduce(together, distributed.ReduceOp.MAX)
        return [int(value) for value in together]

    def all(self, value: Any) -> list[Any]:
        """Return the value of each process in the order of ranks; plain data, too slow for every step."""
        if self.size == 1:
            return [value]
        from torch import distributed

        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, value)
        return found

    def from_main(self, value: Any) -> Any:
        """Return the value of the main process; plain data."""
        if self.size == 1:
            return value
        import torch
        from torch import distributed

        received = [value]
        distributed.broadcast_object_list(received, src=0, device=torch.device("cpu"))
        return received[0]

    def share_gradients(self, model: nn.Module) -> nn.Module:
        """Wrap a model so that each backward pass averages gradients over processes."""
        if self.size == 1:
            return model
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(model, gradient_as_bucket_view=True, broadcast_buffers=False)

    def device(self, name: str) -> torch.device:
        """Return a device by name; "auto" is the GPU of this process, else the CPU.

        Raises:
            SpecError: when torch cannot use it here.
        """
        return devices.find(name, self.local_rank, self.size)


ALONE = World()


def _from_torchrun() -> Ranks | None:
    """Return the ranks that the parent of this process has set; None for those that an earlier launcher left."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ or not _is_of_torchrun():
        return None
    return _number("RANK"), _number("WORLD_SIZE"), _number("LOCAL_RANK", "0")


def _is_of_torchrun() -> bool:
    """Whether the parent of this process is torchrun, or a process group of this package.

    A pod, a notebook or a shell in a worker of torchrun has the same variables, and no peer to wait for.
    """
    return _starts_ranks(os.environ.get("ABLATE_RANKS", ""), "TORCHELASTIC_RUN_ID" in os.environ, os.getpid())


@cache
def _starts_ranks(starter: str, elastic: bool, _: int) -> bool:
    parent = os.getppid()
    if starter == str(parent) or not elastic:
        return starter == str(parent)
    try:
        return bool(LAUNCHER.search(Path(f"/proc/{parent}/cmdline").read_bytes()))
    except OSError:  # a system without /proc
        return True


def ignored_ranks() -> str:
    """Return a warning where the environment has ranks that do not count; else an empty text."""
    size = os.environ.get("WORLD_SIZE", "1")
    if size == "1" or "RANK" not in os.environ or _is_of_torchrun():
        return ""
    return f"RANK and WORLD_SIZE={size} in the environment are ignored: torchrun did not start this process"


def _from_slurm() -> Ranks | None:
    """Return the ranks in a step of srun; None in a batch script or an interactive shell, whose peers never come."""
    if "SLURM_STEP_ID" not in os.environ or "SLURM_PROCID" not in os.environ:
        return None
    if os.environ["SLURM_STEP_ID"] in INTERACTIVE_STEPS or "SLURM_PTY_PORT" in os.environ:
        return None
    size = "SLURM_STEP_NUM_TASKS" if "SLURM_STEP_NUM_TASKS" in os.environ else "SLURM_NTASKS"
    return _number("SLURM_PROCID"), _number(size, "1"), _number("SLURM_LOCALID", "0")


def _number(name: str, usual: str = "") -> int:
    value = os.environ.get(name, usual)
    if not value.isdigit():
        raise SpecError(f"{name} in the environment must be a whole number, as torchrun and srun set it, got {value!r}")
    return int(value)


def from_environment() -> World:
    """Return the world that the environment describes, without joining it.

    Raises:
        SpecError: when a variable is not a whole number.
    """
    rank, size, local_rank = _from_torchrun() or _from_slurm() or (0, 1, 0)
    return World(rank, size, local_rank) if size > 1 else ALONE


def is_main() -> bool:
    """Return whether this process prints and writes, from the environment, without torch."""
    return from_environment().main


def alone() -> bool:
    """Return whether this process trains alone, from the environment, without torch."""
    return from_environment().size == 1


def join() -> World:
    """Join the other processes until this one ends; return the world.

    Raises:
        SpecError: when the address of the main process is unknown.
    """
    world = from_environment()
    if world.size == 1:
        return world
    from torch import cuda, distributed

    if not distributed.is_initialized():
        _set_address()
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if cuda.is_available() else "gloo",
            store=_store(world),
            rank=world.rank,
            world_size=world.size,
            timeout=timedelta(minutes=TIMEOUT_MIN),
        )
        atexit.register(_leave)
    return world


def _store(world: World) -> Any:
    """Return the store through which the processes of this machine meet, on the loopback interface only.

    None lets torch open one at MASTER_ADDR, or use that of torchrun.
    """
    from torch import distributed

    if os.environ["MASTER_ADDR"] not in LOOPBACK or "TORCHELASTIC_RUN_ID" in os.environ:
        return None
    interface = "lo0" if sys.platform == "darwin" else "lo"
    os.environ |= {"GLOO_SOCKET_IFNAME": interface, "NCCL_SOCKET_IFNAME": interface}
    port = int(os.environ["MASTER_PORT"])
    listening: dict[str, Any] = {}
    if world.main:
        listening = {"master_listen_fd": socket.create_server(("127.0.0.1", port)).detach()}
    store: Any = distributed.TCPStore  # type: ignore[attr-defined]
    return store("127.0.0.1", port, world.size, world.main, timedelta(minutes=TIMEOUT_MIN), **listening)


def skip_shutdown() -> None:
    """Let this process end without waiting for the others, after a failure that they may not share."""
    atexit.unregister(_leave)


def _leave() -> None:
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()


def _set_address() -> None:
    """Set torch's address of the main process: as given, else the first machine of the Slurm job."""
    if "MASTER_ADDR" not in os.environ:
        nodes = os.environ.get("SLURM_STEP_NODELIST") or os.environ.get("SLURM_JOB_NODELIST")
        if not nodes:
            raise SpecError("MASTER_ADDR is not set; start the processes with torchrun or srun, or set it")
        os.environ["MASTER_ADDR"] = first_host(nodes)
    # Several steps of one job may share a machine, as several jobs do.
    job, step = (int(os.environ.get(name, "0")) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    os.environ.setdefault("MASTER_PORT", str(PORTS[(job + 997 * step) % len(PORTS)]))


def first_host(nodes: str) -> str:
    """Return the first host of a Slurm node list, such as rack1n07 of "rack[1-2]n[07-09,12],gpu1"."""
    found = re.match(r"([^,\[\]]|\[\w+(-\w+)?(,\w+(-\w+)?)*\])+(?=,|$)", nodes)
    if not found:
        raise SpecError(f"the node list must have the format of Slurm, such as node[01-04], got {nodes!r}")
    return re.sub(r"\[(\w+)[^\]]*\]", r"\1", found[0])
