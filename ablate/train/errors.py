"""An exception → what went wrong, when, and what to try, in one sentence."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources
from ablate.spec.run import Run

GROUP = 64  # a micro-batch of whole groups suits every recipe; see ablate.data.images
FULL = (errno.ENOSPC, errno.EDQUOT)
Told = tuple[str, str] | None  # what happened, and what to try


class DivergedError(RuntimeError):
    """The loss is no number any more. Every process of a run finds that at the same step."""


class TakenOverError(RuntimeError):
    """Another worker holds the run by now, and its record counts. Every process of a run finds that together."""


class Interrupted(KeyboardInterrupt):
    """A signal asked to stop; a checkpoint was written first."""


AGREED = (DivergedError, TakenOverError)


def explain(error: BaseException, run: Run, resources: Resources, state: Mapping[str, Any], size: int = 1) -> str:
    """Which failure it is, after how many steps, and what to try.

    Args:
        state: what the run reported last: its epoch, step and steps an epoch.
        size: number of processes that train the run.
    """
    if isinstance(error, DivergedError | SpecError):
        return str(error)
    for known in (_full_disk, _out_of_memory, _lost_loader, _lost_peer, _missing_picture):
        if found := known(error, _Made(run, resources, size)):
            what, advice = found
            return f"{what}, {after(state)}; {advice}"
    return f"{type(error).__name__}: {error}"


def steps_of(state: Mapping[str, Any]) -> int:
    """Optimiser steps taken since the run's start."""
    return int(state.get("epoch", 0)) * int(state.get("steps", 0)) + int(state.get("step", 0))


def after(state: Mapping[str, Any]) -> str:
    """How far a run had come, in words."""
    steps = steps_of(state)
    return f"after {steps} step{'' if steps == 1 else 's'}" if steps else "before the first step"


class _Made(NamedTuple):
    """How a run was executed."""

    run: Run
    resources: Resources
    size: int


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those it arose from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _full_disk(error: BaseException, _: _Made) -> Told:
    full = [one for one in _chain(error) if isinstance(one, OSError) and one.errno in FULL]
    if not full:
        return None
    where = f" at {full[0].filename}" if full[0].filename else ""
    return f"the disk is full{where}", "free some space or work elsewhere with --root, then --retry-failed"


def _out_of_memory(error: BaseException, made: _Made) -> Told:
    gpu = type(error).__name__ == "OutOfMemoryError"
    if not gpu and not isinstance(error, MemoryError) and "DefaultCPUAllocator: can't allocate" not in str(error):
        return None
    run, resources, size = made
    at_once = min(resources.micro_batch or run.batch_size, run.batch_size // size)
    fewer = at_once // 2 // GROUP * GROUP or (0 if run.mixes else at_once // 2)
    advice = f"try --micro-batch {fewer}, which gives the same result" if fewer else "take a machine with more memory"
    where = "the GPU" if gpu else "the machine"
    return f"{where} is out of memory, with {at_once} pictures in one forward pass", f"{advice}, then --retry-failed"


def _lost_loader(error: BaseException, made: _Made) -> Told:
    if not (found := re.search(r"DataLoader worker .*?(?:exited unexpectedly|is killed by signal: (\w+))", str(error))):
        return None
    by = f" (signal {found[1]}; often for want of memory)" if found[1] else ""
    return f"a loader process was lost{by}", f"try --workers {max(1, made.resources.workers // 2)}, then --retry-failed"


def _lost_peer(error: BaseException, made: _Made) -> Told:
    named = type(error).__name__ in ("DistBackendError", "DistNetworkError", "DistStoreError")
    if made.size == 1 or not (
        named or (isinstance(error, RuntimeError) and re.search(LOST, str(error), re.IGNORECASE))
    ):
        return None
    what = f"another of the {made.size} processes of this run was lost"
    return what, "see the end of its own output, then --retry-failed, which goes on from the newest checkpoint"


def _missing_picture(error: BaseException, _: _Made) -> Told:
    if not isinstance(error, FileNotFoundError):
        return None
    named = re.findall(r"No such file or directory: '([^']*)'", str(error))
    return (
        f"a file is gone, {error.filename or (named or ['which one is not said'])[-1]}",
        "put it back, then --retry-failed",
    )


# What gloo and NCCL say when a process they talk to is no longer there.
LOST = (
    "closed by peer|reset by peer|timed out waiting|timeout|pair closure|broken pipe|remote process|nccl|"
    "connection refused|connectfullmesh"
)
