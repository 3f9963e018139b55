"""One measurement at a time on a device: two beside each other would slow both, and neither record would show it."""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ablate.spec.errors import SpecError

BOOT = Path("/proc/sys/kernel/random/boot_id")


@contextmanager
def alone(folder: Path, device: str, name: str) -> Iterator[None]:
    """Keep other sessions under the same root off a device; the kernel lets go of it when the process ends, however.

    Args:
        folder: for the lock files; they stay, as one that is unlinked could be held by two.
        device: tells it from the machine's other devices.
        name: what the device is called.

    Raises:
        SpecError: when another session measures on it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{device}@{_machine()}.lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = f"process {pid}" if (pid := file.read().strip()) else "another process"
            raise SpecError(
                f"{owner} is measuring on {name}, and two at once would slow each other; wait until it has ended"
            ) from None
        except OSError:
            pass  # a file system without locks: nobody can be kept apart
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _machine() -> str:
    """The same in all containers of a machine, and another on every machine that shares the folder."""
    with suppress(OSError):
        return BOOT.read_text().strip()
    return platform.node()
