"""From records to a tidy pandas frame, one row per run, and to a summary, one row per variant."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ablate.dispatch.evidence import SHARED, Evidence, of_study, trained
from ablate.measure import frames as speed_frames
from ablate.model.cost import complexity
from ablate.results.formats import spreadsheet
from ablate.results.stats import ROUNDING, half_width
from ablate.spec.errors import SpecError
from ablate.spec.parts import DATASETS
from ablate.spec.plugins import files_of
from ablate.spec.run import Run
from ablate.store import records
from ablate.store import rows as flat
from ablate.store.records import Record
from ablate.store.root import Root, write_atomically
from ablate.store.rows import row
from ablate.study.compare import known_classes
from ablate.study.load import as_study
from ablate.study.study import Study, Variant

SUMMARISED = ("top1", "top5", "loss", "heldout_top1", "ema_top1", "images_per_s", "training_s", "peak_memory_mib")
CONSTANT = ("params", "macs", "tokens")


def frame(
    study: Study | str | Path | None = None,
    scale: str | None = None,
    *,
    seeds: int | None = None,
    root: str | Path | None = None,
    mode: str | None = None,
    device: str | None = None,
) -> pd.DataFrame:
    """Return one row per finished run: all fields of Run, metrics, complexity, cost and provenance; speed on request.

    With a study, `variant` and the text fields that the study varies (`mixer`, `stem`, `opt`) are ordered categories in
    its order; numbers and booleans keep their type, since they have an order already.

    Args:
        study: a study, its name or the path of its file: only its runs, with a column `variant`, in the study's order.
            None: all records.
        scale: of the study; None is its first.
        seeds: the first N seeds; None is the study's number.
        root: the folder with `results/`; None is ABLATE_ROOT or the current folder.
        mode: joins the measurements of `ablate bench` in that mode, see `ablate.measure.frames.join`.
        device: the device they were made on; may be None if there is only one.

    Raises:
        SpecError: for an argument that needs a study, without one; for a device without a mode; for a mode or device
            that was not measured; and for several devices without a choice.
    """
    if study is None:
        _refuse(scale=scale, seeds=seeds, mode=mode, device=device)
        return pd.DataFrame(flat.columns(Root.at(root).results))
    if device is not None and mode is None:
        raise SpecError(
            f"device must be given with a mode, got device {device!r} alone; pass a mode that was measured on it"
        )
    study = as_study(study)
    scale = study.scale(scale)
    labels, evidence = _labels(study, scale), of_study(study, scale, Root.at(root).results, seeds)
    at, found = _places(study, scale, evidence, seeds), evidence.rows.columns
    places = [place for place, _ in at]
    chosen = {name: [*map(column.__getitem__, places)] for name, column in found.items()}
    runs = _by_variant({"variant": [label for _, label in at], **chosen}, labels)
    return runs if mode is None else speed_frames.join(runs, speed_frames.frame(root, study, scale), mode, device)


def _refuse(**given: Any) -> None:
    """Refuse arguments that need a study."""
    for name, value in given.items():
        if value is not None:
            raise SpecError(
                f"{name} must be given with a study, got {name} {value!r} alone; pass a study, or omit {name}"
            )


def study_records(
    study: Study, scale: str | None, results: Path, seeds: int | None = None, evidence: Evidence | None = None
) -> list[Record]:
    """Return the records of a study's variants, by variant and seed; of the first `seeds` seeds, or of its own.

    Args:
        evidence: from `ablate.dispatch.evidence.of_study`, if it is known already.
    """
    found = evidence or of_study(study, scale, results, seeds)
    keys = [found.rows.columns["key"][place] for place, _ in _places(study, scale, found, seeds)]
    return [records.read(Path(found.rows.paths[key])) for key in keys]


def _places(study: Study, scale: str | None, found: Evidence, seeds: int | None) -> list[tuple[int, str]]:
    """Return the row numbers of a study's runs, by variant and seed, each with its label."""
    wanted = range(study.seed_count(scale, seeds))
    keys = [(key, variant.label) for variant in trained(study, scale) for key in variant.run.keys(wanted)]
    return [(found.places[key], label) for key, label in keys if key in found.places]


def _shared(run: Run) -> tuple[Any, ...]:
    values = run.to_dict()
    return tuple(values[name] for name in SHARED)


def study_frame(study: Study, scale: str, found: Iterable[Record]) -> pd.DataFrame:
    """The frame of some records of a study, with `variant` as an ordered category."""
    labels, rows = _labels(study, scale), [row(record) for record in found]
    names = flat.sort_columns({name for values in rows for name in values})
    shown = {"variant": [labels[tuple(values[name] for name in SHARED)].label for values in rows]}
    return _by_variant(shown | {name: [values.get(name) for values in rows] for name in names}, labels)


def _labels(study: Study, scale: str) -> dict[tuple[Any, ...], Variant]:
    """Return every variant, by its fields except the seed."""
    return {_shared(variant.run): variant for variant in study.variants(scale)}


def _by_variant(found: Mapping[str, list[Any]], labels: Mapping[Any, Variant]) -> pd.DataFrame:
    """Return columns as a frame whose categories have the study's order; without rows, it has the usual columns.

    Numeric columns stay numeric if some or all values are missing.
    """
    empty = {name: [None] * len(found["variant"]) for name in ("key", "seed", *SUMMARISED, *CONSTANT)}
    table = pd.DataFrame({**empty, **found})[[*dict.fromkeys([*found, *empty])]]
    orders = {name: order for name, order in _orders(labels.values()).items() if name in table}
    kinds: dict[str, Any] = {name: pd.CategoricalDtype(order, ordered=True) for name, order in orders.items()}
    return table.astype(kinds | dict.fromkeys(SUMMARISED, float))


def _orders(variants: Collection[Variant]) -> dict[str, list[str]]:
    """Return the labels, and the values of every text field that varies, in the order of the variants."""
    runs = [variant.run.to_dict() for variant in variants]
    values = {name: [*dict.fromkeys(run[name] for run in runs)] for name in SHARED}
    varied = {name: found for name, found in values.items() if len(found) > 1 and isinstance(found[0], str)}
    return {"variant": [variant.label for variant in variants]} | varied


def _of_curve(record: Record, labels: Mapping[Any, Variant]) -> dict[str, Any]:
    """Return the columns that all epochs of a run share."""
    named = {name: record.run[name] for name in ("mixer", "seed")}
    return {"variant": labels[_shared(record.as_run())].label, **named}


def curves(study: Study, scale: str, found: Iterable[Record]) -> pd.DataFrame:
    """Return the training curves: one row per run and epoch, with `variant`, `mixer` and `seed`."""
    labels = _labels(study, scale)
    rows = [of_run | entry for record in found for of_run in [_of_curve(record, labels)] for entry in record.history]
    names = dict.fromkeys(
        ["variant", "mixer", "seed", "epoch", "train_loss", *(name for values in rows for name in values)]
    )
    table = pd.DataFrame({name: [values.get(name) for values in rows] for name in names})
    categories = [variant.label for variant in labels.values()]
    table["variant"] = pd.Categorical(table["variant"], categories=categories, ordered=True)
    return table


def summarise(runs: pd.DataFrame, wanted: int | None = None, variants: Iterable[Variant] = ()) -> pd.DataFrame:
    """Return one row per variant, in the study's order: n, mean and 95 % t interval over seeds of every measure.

    Args:
        runs: from `frame` with a study.
        wanted: the number of seeds that a variant should have; with it, a table can show 2/3.
        variants: the study's, so that those without a run have their sizes too.

    Returns:
        Columns `variant`, `n`, `wanted`; `NAME`, `NAME_low`, `NAME_high` for measured ones (low and high are NaN for
        one seed); `difference` of top-1 from the control, paired by seed, likewise; `params`, `macs`, `tokens`.
    """
    by = runs["variant"]
    n = runs.groupby(by, observed=False).size().rename("n")
    aimed_at = n.rename("wanted") if wanted is None else pd.Series(wanted, n.index, name="wanted")
    constant = sizes(runs, variants)
    measured = runs.reindex(columns=[*SUMMARISED]).astype(float)
    measured["difference"] = differences(runs)
    table = pd.concat([n, aimed_at, _intervals(measured, by), constant], axis=1)
    return table.rename_axis("variant").reset_index().astype({"variant": object})


def sizes(runs: pd.DataFrame, variants: Iterable[Variant] = ()) -> pd.DataFrame:
    """Return `params`, `macs` and `tokens` of each variant: as recorded, otherwise from the formulas.

    Those of models for an image directory need its number of classes, so they are missing if it is not available. They
    are missing beside records of the directory too, so that a report is the same wherever it is rendered.
    """
    recorded = runs[[*CONSTANT]].astype(float).groupby(runs["variant"], observed=False).first()
    missing = [
        variant
        for variant in variants
        if recorded.loc[variant.label].isna().all() and (variant.run.dataset in DATASETS or runs.empty)
    ]
    shapes = {name: known_classes(name, {}) for name in {variant.run.dataset for variant in missing}}
    counted = {
        variant.label: _counted(variant.run, *shape) for variant in missing if (shape := shapes[variant.run.dataset])
    }
    return recorded.fillna(pd.DataFrame(counted, index=[*CONSTANT], dtype=float).T.reindex(recorded.index))


def _counted(run: Run, channels: int, classes: int) -> dict[str, int]:
    """Return parameters, MACs and tokens; nothing if a part in the user's own file fails, which hides no other row."""
    try:
        return complexity(run, channels, classes)
    except SpecError:
        if not files_of(run):
            raise
        return {}


def differences(runs: pd.DataFrame) -> pd.Series[float]:
    """Return the top-1 of each run minus that of the control's run with its seed; NaN for the control."""
    is_control = runs["variant"] == runs["variant"].cat.categories[0]
    control = runs[is_control].set_index("seed")["top1"]
    return (runs["top1"] - runs["seed"].map(control)).where(~is_control).astype(float)


def _intervals(measured: pd.DataFrame, by: pd.Series[Any]) -> pd.DataFrame:
    """Return mean and 95 % t interval of each column in each group; `low` and `high` are NaN without a spread."""
    grouped, sizes = measured.groupby(by, observed=False), measured.abs().groupby(by, observed=False).max()
    # A difference has the rounding error of its terms.
    sizes["difference"] = measured["top1"].abs().max()
    mean, spread = grouped.mean(), grouped.max() - grouped.min()
    half = pd.DataFrame(half_width(grouped.std(ddof=1), grouped.count()), mean.index, mean.columns)
    half = half.where(spread > ROUNDING * sizes, np.nan)
    parts = {"": mean, "_low": mean - half, "_high": mean + half}
    return pd.DataFrame({f"{name}{end}": part[name] for name in measured for end, part in parts.items()})


def write(found: pd.DataFrame, path: Path) -> None:
    """Write a frame as Parquet, which keeps types and the order of variants, or as CSV.

    Raises:
        SpecError: for a suffix other than `.parquet` or `.csv`.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise SpecError(f"the suffix of {path} must be .parquet or .csv, got {path.suffix!r}")
    csv = path.suffix == ".csv"
    write_atomically(path, spreadsheet.as_text(found).encode() if csv else found.to_parquet(index=False))
