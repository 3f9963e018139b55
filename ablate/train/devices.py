"""Devices: which one a name means on this machine, whether torch can use it, and which GPUs it has.

torch is imported only when needed, so that a command on a machine without any sign of a GPU starts quickly.
"""

from __future__ import annotations

import glob
import logging
import os
import re
import shutil
import warnings
from functools import cache
from typing import TYPE_CHECKING

from ablate.spec.checks import device_name
from ablate.spec.errors import SpecError

if TYPE_CHECKING:
    import torch

LOG = logging.getLogger("ablate")
# Files of a driver: NVIDIA, NVIDIA Jetson, WSL2, ROCm.
DRIVERS = ("/dev/nvidia[0-9]*", "/dev/nvhost-gpu", "/dev/nvgpu", "/dev/dxg", "/dev/kfd")


def find(name: str, local_rank: int = 0, processes: int = 1) -> torch.device:
    """Return the device with a name, ready for use; several processes have one GPU each.

    Args:
        name: "auto", or the name of a torch device. "auto" is the first CUDA device, else the CPU.
        local_rank: rank of this process on its machine.
        processes: number of processes that train together.

    Raises:
        SpecError: when torch cannot use it here.
    """
    import torch

    if name == "auto":
        name = "cuda" if _cuda()[0] else "cpu"
    check(name)
    if name == "cuda" and processes > 1:
        name = f"cuda:{_gpu_of(local_rank)}"
    device = torch.device(name)
    if device.type == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call] # before its memory is counted
        if device.index is not None:
            torch.cuda.set_device(device)
    return device


def check(name: str) -> None:
    """Check that torch can use a device on this machine, without claiming it. "auto" is always valid.

    Raises:
        SpecError: when it cannot.
    """
    if name in ("auto", "cpu"):
        return
    if expected := device_name(name):
        raise SpecError(f"device must be {expected}, got {name!r}")
    import torch

    if why := _obstacle(torch.device(name)):
        raise SpecError(f"device {name} cannot be used on this machine: {why}; use --device auto or cpu")


def gpus(name: str = "auto") -> list[str]:
    """Return the GPUs that torch can use for a device, by index or name as in CUDA_VISIBLE_DEVICES.

    Without any sign of a GPU, torch is not asked.
    """
    if name == "auto" and not signs():
        return []
    count, _ = _cuda()
    listed = visible()
    if listed is None:
        return [str(index) for index in range(count)]
    # A process sees only the first of several MIG instances, so that torch counts one.
    return listed if count and listed and listed[0].startswith("MIG-") else listed[:count]


def signs() -> list[str]:
    """Return what suggests that this machine has a GPU: files of drivers, and NVIDIA's tool."""
    found = [path for pattern in DRIVERS for path in sorted(glob.glob(pattern))]
    return found + (["nvidia-smi"] if shutil.which("nvidia-smi") else [])


def visible() -> list[str] | None:
    """Return the GPUs that the environment allows, as CUDA reads it; None if it allows all.

    CUDA stops at the first entry that is not valid, and refuses a list that names a GPU twice.
    """
    text = os.environ.get(limiting())
    if text is None:
        return None
    names: list[str] = []
    for name in (entry.strip() for entry in text.split(",")):
        if name in names:
            return []
        if not (re.fullmatch("[0-9]+", name) or name.startswith(("GPU-", "MIG-"))):
            break
        names.append(name)
    return names


def limiting() -> str:
    """Return the variable that limits which GPUs a process sees. ROCm reads both names, its own one first."""
    if "HIP_VISIBLE_DEVICES" not in os.environ:
        return "CUDA_VISIBLE_DEVICES"
    import torch

    return "HIP_VISIBLE_DEVICES" if torch.version.hip else "CUDA_VISIBLE_DEVICES"


def _gpu_of(local_rank: int) -> int:
    """Return the GPU of a process. Where each process sees only its own GPU, that is the first.

    Raises:
        SpecError: when there are fewer GPUs than processes.
    """
    import torch

    count = torch.cuda.device_count()
    of_torchrun, of_slurm = (os.environ.get(name) for name in ("LOCAL_WORLD_SIZE", "SLURM_NTASKS_PER_NODE"))
    together = max(int(re.match(r"\d*", of_torchrun or of_slurm or "")[0] or 1), local_rank + 1)  # type: ignore[index]
    if together > count and (count > 1 or of_torchrun):
        raise SpecError(
            f"each process needs a GPU of its own, got {together} processes and {count} GPUs on this machine; "
            f"use --gpus-per-run {count}"
        )
    return local_rank % count


def _obstacle(device: torch.device) -> str:
    """Return why torch cannot use a device; empty if it can."""
    import torch

    if device.type == "cuda":
        count, why = _cuda()
        if count:
            return f"torch finds {count} CUDA devices" if (device.index or 0) >= count else ""
        return f"the environment hides every GPU ({limiting()})" if visible() == [] else why
    if device.type == "mps":
        return "" if torch.backends.mps.is_available() else "torch finds no MPS device"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        return _first_sentence(error)
    return ""


def _cuda() -> tuple[int, str]:
    """Return the number of CUDA devices and, if that is 0, why; a GPU that cannot be used is reported once."""
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count:
        return count, ""
    why = _first_sentence(caught[0].message) if caught else _why_not()
    if (found := signs()) and visible() != []:
        _warn_once(f"torch {torch.__version__} cannot use the GPU of this machine ({', '.join(found)}): {why}")
    return 0, why


@cache
def _warn_once(sentence: str) -> None:
    LOG.warning(sentence)


def _why_not() -> str:
    import torch

    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        return _first_sentence(error)
    return "torch finds no CUDA device"


def _first_sentence(error: object) -> str:
    return next(iter(re.split(r"\.\s|\n", str(error).strip())), "").rstrip(".")
