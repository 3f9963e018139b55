"""Where and what: the commit, versions and machine a number came from."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ablate.spec.resources import Resources
from ablate.train.distributed import ALONE, World

SHAPING = ("threads", "micro_batch", "compile", "channels_last", "deterministic")  # of a number's last bits
PACKAGES = ("ablate", "torchvision", "timm", "numpy", "scikit-learn")


def where_and_what(resources: Resources, device: torch.device, world: World = ALONE) -> dict[str, Any]:
    """Commit and whether it was dirty, versions, device, host, processes and settings, JSON-ready.

    Paths of data are left out: they say nothing about the numbers, and records are published.
    """
    settings = {name: value for name, value in resources.to_dict().items() if name != "data"}
    return {
        **_commit(),
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            **{name: _version(name) for name in PACKAGES},
        },
        "device": device_name(device),
        "processes": world.size,
        "arithmetic": _arithmetic(),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "resources": settings,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def conditions(resources: Resources, device: torch.device, world: World = ALONE) -> dict[str, Any]:
    """What decides a number's last bits beside the run, JSON-ready.

    It goes into each checkpoint: a run may be resumed under other conditions, and its record then names the earlier.
    """
    return {
        "commit": _commit()["commit"],
        "torch": str(torch.__version__),
        "device": device_name(device),
        "processes": world.size,
        **{name: getattr(resources, name) for name in SHAPING},
    }


def device_name(device: torch.device) -> str:
    """What the device calls itself, such as "NVIDIA H200" or the CPU's model name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _cpu_name()


def _arithmetic() -> dict[str, Any]:
    """torch's settings that shape a number's last bits."""
    return {
        "matmul": torch.get_float32_matmul_precision(),
        "cudnn_tf32": torch.backends.cudnn.allow_tf32,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


@cache
def _cpu_name() -> str:
    """The CPU's model name from the kernel, where it tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    """The installed version; for ablate run from a source tree without an installation, the source's own."""
    try:
        return version(package)
    except ModuleNotFoundError:
        from ablate import __version__

        return __version__ if package == "ablate" else None


@cache
def _commit() -> dict[str, Any]:
    """The commit of the source tree this package runs from; None for an installed one."""
    tree = Path(__file__).parents[2]
    if not (tree / ".git").exists():
        return {"commit": None, "dirty": None}
    head = _git(tree, "rev-parse", "HEAD")
    changes = _git(tree, "status", "--porcelain", "--", "ablate", "studies")
    return {"commit": head, "dirty": bool(changes) if head else None}


def _git(folder: Path, *words: str) -> str | None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *words]
    try:
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
