"""Explanations of failed runs: what happened, at which step, and what to try, in one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.spec.usercode import PACKAGE, line_of, sentence
from ablate.store.root import FULL

GROUP = 64  # micro-batches of complete groups work with every recipe; see ablate.data.images
Explanation = tuple[str, str] | None  # what happened, and what to try


class DivergedError(RuntimeError):
    """The loss is not finite. Every process of a run detects this at the same step."""


class TakenOverError(RuntimeError):
    """Another worker has the lease of the run, and its record counts. Every process detects this at the same step."""


class Interrupted(KeyboardInterrupt):
    """A signal requested a stop; a checkpoint was written first."""


AGREED = (DivergedError, TakenOverError)


def explain(error: BaseException, run: Run, resources: Resources, state: Mapping[str, Any], size: int = 1) -> str:
    """Return what failed, after how many steps, and what to try.

    Args:
        error: the exception that ended the run.
        run, resources: what was executed, and how.
        state: the last report of the run, with epoch, step and steps per epoch.
        size: number of processes that train the run.
    """
    if isinstance(error, DivergedError | SpecError):
        return str(error).partition("\n")[0]  # without the line of the user's file
    for known in (_full_disk, _out_of_memory, _lost_loader, _lost_peer, _missing_file):
        if found := known(error, _Setup(run, resources, size)):
            what, advice = found
            return f"{what}, {after(state)}; {advice}"
    if line_of(error):
        return sentence(error, PACKAGE).partition("\n")[0]
    return f"{type(error).__name__}: {error}"


def steps_of(state: Mapping[str, Any]) -> int:
    """Return the number of optimiser steps since the start of the run."""
    return int(state.get("epoch", 0)) * int(state.get("steps", 0)) + int(state.get("step", 0))


def after(state: Mapping[str, Any]) -> str:
    """Return the progress of a run in words."""
    steps = steps_of(state)
    return f"after {steps} step{'' if steps == 1 else 's'}" if steps else "before the first step"


class _Setup(NamedTuple):
    """The run, its resources and the number of its processes."""

    run: Run
    resources: Resources
    size: int


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _full_disk(error: BaseException, _: _Setup) -> Explanation:
    full = [one for one in _chain(error) if isinstance(one, OSError) and one.errno in FULL]
    if not full:
        return None
    where = f" at {full[0].filename}" if full[0].filename else ""
    return f"the disk is full{where}", "free disk space or use another --root, then --retry-failed"


def _out_of_memory(error: BaseException, setup: _Setup) -> Explanation:
    gpu = type(error).__name__ == "OutOfMemoryError"
    if not gpu and not isinstance(error, MemoryError) and "DefaultCPUAllocator: can't allocate" not in str(error):
        return None
    run, resources, size = setup
    at_once = min(resources.micro_batch or run.batch_size, run.batch_size // size)
    fewer = at_once // 2 // GROUP * GROUP or (0 if run.mixes else at_once // 2)
    advice = f"try --micro-batch {fewer}, which gives the same result" if fewer else "use a machine with more memory"
    where = "the GPU" if gpu else "the machine"
    return f"{where} is out of memory, with {at_once} images in one forward pass", f"{advice}, then --retry-failed"


def _lost_loader(error: BaseException, setup: _Setup) -> Explanation:
    if type(error).__name__ != "LoaderError":
        return None
    fewer = setup.resources.workers // 2
    return str(error), f"try --workers {fewer}, then --retry-failed, which resumes from the newest checkpoint"


def _lost_peer(error: BaseException, setup: _Setup) -> Explanation:
    named = type(error).__name__ in ("DistBackendError", "DistNetworkError", "DistStoreError")
    if setup.size == 1 or not (
        named or (isinstance(error, RuntimeError) and re.search(LOST, str(error), re.IGNORECASE))
    ):
        return None
    what = f"another of the {setup.size} processes of this run was lost"
    networks = (
        "where machines have several networks, set GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME to the one between them; "
        if setup.resources.nodes > 1
        else ""
    )
    return (
        what,
        f"see the end of its output; {networks}then --retry-failed, which resumes from the newest checkpoint",
    )


def _missing_file(error: BaseException, _: _Setup) -> Explanation:
    if not isinstance(error, FileNotFoundError):
        return None
    return f"a file is missing: {error.filename or error}", "restore it, then --retry-failed"


# What gloo and NCCL report when another process has ended.
LOST = (
    "closed by peer|reset by peer|timed out waiting|timeout|pair closure|broken pipe|remote process|nccl|"
    "connection refused|connectfullmesh"
)
