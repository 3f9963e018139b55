"""The tables of a study as frames, from the records under a root."""

from __future__ import annotations

import pandas as pd

from ablate.results import contrasts
from ablate.results.table import frame, study_records, summarise
from ablate.store.root import Root
from ablate.study.study import Study


def summary(study: Study, scale: str, seeds: int | None, root: Root) -> pd.DataFrame:
    """Return one row per variant of a study; see `ablate.results.table.summarise`."""
    runs = frame(study, scale, seeds=seeds, root=root.path)
    return summarise(runs, study.seed_count(scale, seeds), study.variants(scale))


def over_seeds(study: Study, scale: str, seeds: int | None, root: Root) -> pd.DataFrame:
    """Return the differences to the control, over seeds; see `ablate.results.contrasts.over_seeds`."""
    return contrasts.over_seeds(frame(study, scale, seeds=seeds, root=root.path))


def over_images(study: Study, scale: str, seeds: int | None, root: Root) -> pd.DataFrame:
    """Return the differences to the control, per image; see `ablate.results.contrasts.over_images`."""
    label_of = {variant.run: variant.label for variant in study.variants(scale)}
    found = study_records(study, scale, root.results, seeds)
    labelled = [(label_of[record.as_run().replace(seed=0)], record) for record in found]
    return contrasts.over_images(labelled, next(iter(label_of.values())))
