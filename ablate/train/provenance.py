"""Provenance: the commit, versions and machine that produced a result."""

from __future__ import annotations

import logging
import os
import platform
import socket
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from ablate import __version__
from ablate.spec.printable import printable
from ablate.spec.resources import Resources
from ablate.train.distributed import ALONE, World

SHAPING = ("threads", "micro_batch", "compile", "channels_last", "deterministic")  # change the last bits of results
LOG = logging.getLogger("ablate")
PACKAGES = ("torchvision", "timm", "numpy", "scikit-learn")


def provenance_of(resources: Resources, device: torch.device, world: World = ALONE) -> dict[str, Any]:
    """Return commit and whether it was modified, versions, device, host, processes and settings, ready for JSON.

    Paths of data are excluded: they do not affect results, and records are published.
    """
    settings = {name: value for name, value in resources.to_dict().items() if name != "data"}
    return {
        **_commit(),
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "ablate": __version__,
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
    """Return what determines the last bits of a result in addition to the run, ready for JSON.

    Each checkpoint contains it: a run may be resumed under other conditions, which its record then lists too.
    """
    return {
        "commit": _commit()["commit"],
        "torch": str(torch.__version__),
        "device": device_name(device),
        "processes": world.size,
        **{name: getattr(resources, name) for name in SHAPING},
    }


def device_name(device: torch.device) -> str:
    """Return the name of a device, such as "NVIDIA H200" or the model name of the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _cpu_name()


def _arithmetic() -> dict[str, Any]:
    """Return the torch settings that change the last bits of results."""
    return {
        "matmul": torch.get_float32_matmul_precision(),
        "cudnn_tf32": torch.backends.cudnn.allow_tf32,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


@cache
def _cpu_name() -> str:
    """Return the model name of the CPU from the kernel, else the processor or machine name of Python."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    """Return the version of an installed package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _commit() -> dict[str, Any]:
    """Return the commit of the source tree of this package; None for an installed package."""
    tree = Path(__file__).parents[2]
    if not (tree / ".git").exists():
        return {"commit": None, "dirty": None}
    head = _git(tree, "rev-parse", "HEAD")
    changes = _git(tree, "status", "--porcelain", "--", "ablate", "studies") if head else None
    return {"commit": head, "dirty": None if changes is None else bool(changes)}


def _git(folder: Path, *words: str) -> str | None:
    """Return what git prints about a source tree; None, with a warning, where it cannot read it.

    The tree may belong to another user: its code is what runs here, so git may trust it, too.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), "-c", "safe.directory=*", *words]
    try:
        done = subprocess.run(command, capture_output=True, env=environment, check=True)
        return os.fsdecode(done.stdout).strip()
    except OSError as error:
        reason = f"cannot start git: {error.strerror}"
    except subprocess.CalledProcessError as error:
        reason = os.fsdecode(error.stderr).partition("\n")[0]
    LOG.warning("the record has no commit of %s: %s", folder, printable(reason))
    return None
