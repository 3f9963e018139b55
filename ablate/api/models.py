"""Measure the speed and memory of models."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext

import pandas as pd

from ablate.api.arguments import Folder, StudyLike, listed
from ablate.measure.frames import tidy
from ablate.measure.progress import Watch
from ablate.measure.request import found_of, plan_of, subjects_of
from ablate.measure.session import Session
from ablate.spec.errors import SpecError
from ablate.store.root import Root
from ablate.study.load import as_study
from ablate.train import devices


def bench(
    study: StudyLike | None = None,
    scale: str | None = None,
    *,
    models: Iterable[str] = (),
    timm: Iterable[str] = (),
    modes: str | None = None,
    batches: Sequence[int] = (),
    quick: bool = False,
    budget_s: float | None = None,
    force: bool = False,
    device: str = "auto",
    threads: int | None = None,
    root: Folder = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Measure speed and memory of models side by side, and return one row per measurement.

    Each measurement is kept at once; after an interruption, the same call measures the rest.

    Args:
        models: models at ImageNet size, such as "linear_tiny", or the groups "paper" and "mixers".
        timm: names of timm models.
        modes: such as "fp32-eager,bf16-compile-training"; None is all.
        batches: images per batch, the reference batch first; 1 gives the latency.
        quick: use short windows; the records say so.
        budget_s: stop after this time, in seconds.
        force: measure again, and replace existing records.
        threads: CPU threads; None is all cores.
        progress: show the measurements on the standard error.

    Returns:
        The columns of `ablate.measure.frames.frame`. `frame.attrs["failures"]` has a sentence for each model that could
        not be measured, and `frame.attrs["time_is_up"]` tells whether the time ended first.
    """
    folder = Root.at(root)
    chosen = None if study is None else as_study(study)
    subjects = subjects_of(chosen, scale, listed(models), listed(timm))
    devices.check(device)
    if any(isinstance(one, bool) or not isinstance(one, int) or one < 1 for one in batches):
        raise SpecError(f"batches must be whole numbers above 0, such as [64, 1], got {batches!r}")
    wanted = plan_of(
        subjects,
        modes=modes,
        batches=batches,
        quick=quick,
        budget_s=budget_s,
        force=force,
        device=device,
        threads=threads,
    )
    folder.make_writable()
    with Watch(sys.stderr) if progress else nullcontext(lambda _: None) as watch:
        session = Session(folder, wanted, watch)
        session.run()
    found = tidy(found_of(folder, subjects, session))
    found.attrs = {"failures": session.failures, "time_is_up": session.time_is_up}
    return found
