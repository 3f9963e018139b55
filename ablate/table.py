"""Records to a tidy pandas frame, a row a run; and that to a summary, a row a variant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ablate import records
from ablate.paths import Root
from ablate.records import Record
from ablate.spec import ADDED_LATER
from ablate.stats import t_interval
from ablate.study import Study, load

SUMMARISED = ("top1", "top5", "loss", "heldout_top1", "images_per_s", "training_s", "peak_memory_mib")
CONSTANT = ("params", "macs", "tokens")


def frame(
    study: Study | str | None = None,
    scale: str | None = None,
    *,
    seeds: int | None = None,
    root: str | Path | None = None,
) -> pd.DataFrame:
    """A row for every finished run: all fields of Run, metrics, complexity, cost and provenance.

    Args:
        study: a study or its name: its runs only, with a column `variant`, in the study's order. None: all records.
        scale: of the study; None is its first one.
        seeds: only the first so many seeds; None is all there are.
        root: the folder with `results/`; None is ABLATE_ROOT or the current one.
    """
    results = Root.at(root).results
    if study is None:
        return pd.DataFrame([row(record) for record in records.read_all(results)])
    study = load(study) if isinstance(study, str) else study
    scale = study.scale(scale)
    if seeds is not None:
        study.seed_count(scale, seeds)
    return study_frame(study, scale, study_records(study, scale, results, seeds))


def study_records(study: Study, scale: str | None, results: Path, seeds: int | None = None) -> list[Record]:
    """The records of a study's variants, in the order of variants and seeds; of the first `seeds` seeds, or of all."""
    order = {_but_seed(variant.run.fields()): at for at, variant in enumerate(study.variants(scale))}
    found = [(_but_seed({**ADDED_LATER, **record.run}), record) for record in records.read_all(results)]
    mine = [(order[fields], record.run["seed"], record) for fields, record in found if fields in order]
    # A raised behaviour number gives a run a new key: records from before it are not of this study any more.
    mine = [(at, seed, record) for at, seed, record in mine if record.key == record.as_run().key]
    return [record for _, seed, record in sorted(mine, key=lambda item: item[:2]) if seeds is None or seed < seeds]


def _but_seed(fields: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    """A run's fields without its seed, to find runs of one variant; a record of some other program does no harm."""
    return frozenset((name, value) for name, value in fields.items() if name != "seed")


def study_frame(study: Study, scale: str, found: Iterable[Record]) -> pd.DataFrame:
    """The frame of some records of a study, with `variant` as an ordered category."""
    labels = _labels(study, scale)
    rows = [{"variant": _label(labels, record), **row(record)} for record in found]
    return _by_variant(rows, ["variant", "key", "seed", *SUMMARISED, *CONSTANT], labels)


def _labels(study: Study, scale: str) -> dict[frozenset[tuple[str, Any]], str]:
    """The label of every variant, by its fields but the seed."""
    return {_but_seed(variant.run.fields()): variant.label for variant in study.variants(scale)}


def _label(labels: Mapping[frozenset[tuple[str, Any]], str], record: Record) -> str:
    return labels[_but_seed({**ADDED_LATER, **record.run})]


def _by_variant(rows: list[dict[str, Any]], columns: list[str], labels: Mapping[Any, str]) -> pd.DataFrame:
    """Rows as a frame whose `variant` keeps the study's order; `columns` are those of an empty one."""
    table = pd.DataFrame(rows, columns=None if rows else columns)
    table["variant"] = pd.Categorical(table["variant"], categories=list(labels.values()), ordered=True)
    return table


def row(record: Record) -> dict[str, Any]:
    """One record, flat; the outcome of each picture and the history stay in the record."""
    provenance = {k: v for k, v in record.provenance.items() if not isinstance(v, Mapping)}
    versions = {f"version_{k}": v for k, v in record.provenance["versions"].items()}
    resources = {k: v for k, v in record.provenance["resources"].items() if k in ("threads", "workers")}
    metrics = {k: v for k, v in record.metrics.items() if k != "correct"}
    return {
        "key": record.key,
        **ADDED_LATER,
        **record.run,
        **metrics,
        **record.complexity,
        **record.cost,
        "fingerprint": record.dataset["fingerprint"],
        **provenance,
        **versions,
        **resources,
    }


def curves(study: Study, scale: str, found: Iterable[Record]) -> pd.DataFrame:
    """Training curves: a row per run and epoch, with `variant` and `seed`."""
    labels = _labels(study, scale)
    rows = [
        {"variant": label, "seed": record.run["seed"], **entry}
        for label, record in ((_label(labels, record), record) for record in found)
        for entry in record.history
    ]
    return _by_variant(rows, ["variant", "seed", "epoch", "train_loss"], labels)


def summarise(runs: pd.DataFrame, wanted: int | None = None) -> pd.DataFrame:
    """A row per variant, in the study's order: n, mean and 95 % t interval over seeds of every measured column.

    Args:
        runs: from `frame` with a study.
        wanted: seeds a variant should have; the column `wanted` lets a table show n=2/3.

    Returns:
        Columns `variant`, `n`, `wanted`; `NAME`, `NAME_low`, `NAME_high` for measured ones (low and high are NaN for
        one seed); `difference` of top-1 to the control, paired by seed, likewise; `params`, `macs`, `tokens`.
    """
    groups = {str(label): group for label, group in runs.groupby("variant", observed=False)}
    control = next(iter(groups.values()))
    rows = [_summary(label, group, wanted) | _difference(group, control) for label, group in groups.items()]
    return pd.DataFrame(rows)


def _summary(label: str, group: pd.DataFrame, wanted: int | None) -> dict[str, Any]:
    summary: dict[str, Any] = {"variant": label, "n": len(group), "wanted": wanted or len(group)}
    for column in SUMMARISED:
        summary |= _interval(column, group[column].dropna().tolist() if column in group else [])
    for column in CONSTANT:
        summary[column] = group[column].iloc[0] if len(group) else None
    return summary


def _difference(group: pd.DataFrame, control: pd.DataFrame) -> dict[str, Any]:
    """Top-1 minus the control's, seed by seed; none for the control itself."""
    differences = group.set_index("seed")["top1"] - control.set_index("seed")["top1"]
    return _interval("difference", [] if group is control else differences.dropna().tolist())


def _interval(name: str, values: list[float]) -> dict[str, float]:
    interval = t_interval(values) if values else None
    nan = float("nan")
    if interval is None or interval.low is None or interval.high is None:
        return {name: interval.mean if interval else nan, f"{name}_low": nan, f"{name}_high": nan}
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
