"""One measurement at a time on a device: two would slow each other down, and neither record would show it."""

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
    """Lock a device for this session, under the same root; the kernel releases the lock when the process ends.

    Args:
        folder: for the lock files; they are never deleted, because two could lock a deleted one.
        device: identifies it among the machine's devices.
        name: the name of the device for people.

    Raises:
        SpecError: if another session measures on it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{device}@{_machine()}.lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = f"process {pid}" if (pid := file.read().strip()) else "another process"
            raise SpecError(
                f"{owner} is measuring on {name}, and two at once would slow each other down; wait until it has ended"
            ) from None
        except OSError:
            pass  # a file system without locks
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _machine() -> str:
    """Return an identifier of the machine, which its containers share."""
    with suppress(OSError):
        return BOOT.read_text().strip()
    return platform.node()
