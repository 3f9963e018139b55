"""Measurements as a tidy frame, those of a study in its order, and joined to a study's table by architecture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd

from ablate.measure.protocol import Mode
from ablate.measure.record import DRIFT, Measurement, read_all
from ablate.model.cost import inputs
from ablate.spec.errors import SpecError
from ablate.spec.run import SHAPING
from ablate.store.root import Root
from ablate.study.load import as_study
from ablate.study.study import Study

COLUMNS = """
    variant device mode batch images_per_s images_per_s_low images_per_s_high windows thrown memory_mib
    memory_status latency_p50_ms latency_p90_ms latency_p99_ms mfu first_step_s drift drift_known drifted settled
    status complete reference_batch measured_at protocol dtype execution layout work architecture timm_model macs
    params image_size channels classes tokens threads torch timm
""".split()  # noqa: SIM905


@dataclass(frozen=True)
class Measured:
    """A measurement, its name, its device and its folder."""

    variant: str
    device: str
    folder: str
    found: Measurement


def measured(results: Path) -> list[Measured]:
    """Return every measurement under a results folder with windows or a status, under its own label.

    If folders contain several of one model on one device, in one mode, at one batch size, the newest counts.
    """
    each = (
        Measured(str(one.subject["label"]), device_of(one), folder, one)
        for folder, one in read_all(results)
        if one.windows or one.complete
    )
    newest: dict[tuple[str, str], Measured] = {}
    for one in each:
        place = one.device, one.found.name
        if place not in newest or one.found.begun > newest[place].found.begun:
            newest[place] = one
    return list(newest.values())


def of_study(results: Path, study: Study, scale: str | None = None) -> list[Measured]:
    """Return those of a study's architectures, in its order, then timm models that were measured with them.

    Variants that differ only in data or recipe share an architecture and its measurements.
    """
    everything = measured(results)
    by_shape: dict[tuple[str, int, int], list[Measured]] = {}
    for one in everything:
        subject = one.found.subject
        by_shape.setdefault((subject["architecture"], subject["channels"], subject["classes"]), []).append(one)
    mine = [
        replace(one, variant=variant.label)
        for variant in study.variants(scale)
        for one in by_shape.get((variant.run.architecture, *inputs(variant.run.dataset)), [])
    ]
    together = {key for one in mine for session in one.found.sessions for key in session["members"]}
    others = [one for one in everything if one.found.subject["timm"] and one.found.subject["key"] in together]
    return mine + others


def device_of(found: Measurement) -> str:
    """Return everything about the machine that may change a speed, as text: "AMD EPYC, 2 threads, torch 2.15.0"."""
    where = found.provenance
    threads = where["resources"]["threads"]
    of_cpu = f", {threads} thread{'' if threads == 1 else 's'}" if where["device_type"] == "cpu" else ""
    return f"{where['device']}{of_cpu}, torch {where['versions']['torch']}"


def frame(
    root: str | Path | Root | None = None, study: Study | str | Path | None = None, scale: str | None = None
) -> pd.DataFrame:
    """Return one row per measurement: one model on one device, in one mode, at one batch size.

    Args:
        root: the folder with `results/`; None is ABLATE_ROOT or the current folder.
        study: a study or its name: only its variants and timm models measured with them, in its order.

    Returns:
        `variant`, `device`, `mode` (in words), `batch`, `images_per_s` (median of the windows; NaN if memory ran
        out) with its quartiles `_low` and `_high`, `windows` and `thrown`, `memory_mib` and `memory_status`,
        `latency_p50_ms` and so on, `mfu`, `drift` of the control (the largest of its sessions), whether it is `drifted`
        and `drift_known` of every session, `settled`, `status`, `complete`, `measured_at` (when its last session
        began, UTC), `protocol`, the mode's four words, `macs`, `params`, `tokens`, versions, and the fields that shape
        the model.
    """
    results = (root if isinstance(root, Root) else Root.at(root)).results
    study = as_study(study) if study is not None else None
    found = of_study(results, study, scale) if study else measured(results)
    labels = list(dict.fromkeys([v.label for v in study.variants(scale)] if study else []))
    return tidy(found, labels)


def tidy(found: Iterable[Measured], labels: Iterable[str] = ()) -> pd.DataFrame:
    """Return one row per measurement; `variant` is an ordered category, `labels` first."""
    rows = [_row(one) for one in found]
    table = pd.DataFrame(rows, columns=None if rows else [*COLUMNS, *sorted(SHAPING - {"image_size"})])
    order = list(dict.fromkeys([*labels, *table["variant"]]))
    table["variant"] = pd.Categorical(table["variant"], categories=order, ordered=True)
    return table


def _row(one: Measured) -> dict[str, Any]:
    found = one.found
    summary, subject, versions = found.summary(), found.subject, found.provenance["versions"]
    nan = float("nan")
    drifts = _drifts(found)
    drift = max((drift for drift in drifts if drift is not None), key=abs, default=nan)
    latency = summary["latency"] or {}
    return {
        "variant": one.variant,
        "device": one.device,
        "mode": Mode(**found.mode).words,
        "batch": found.batch,
        "images_per_s": _number(summary["rate"]),
        "images_per_s_low": _number(summary["q1"]),
        "images_per_s_high": _number(summary["q3"]),
        "windows": summary["n"],
        "thrown": len(found.thrown),
        "memory_mib": _number(found.peak_memory_mib),
        "memory_status": found.memory_status,
        **{f"latency_{name}_ms": _number(latency.get(name)) for name in ("p50", "p90", "p99")},
        "mfu": _number(summary["mfu"]),
        "first_step_s": _number(found.first_step_s),
        "drift": drift,
        "drift_known": None not in drifts,
        "drifted": abs(drift) > DRIFT,
        "settled": bool(found.warmup and found.warmup["settled"]),
        "status": found.status,
        "complete": found.complete,
        "reference_batch": found.reference_batch,
        "measured_at": found.begun,
        "protocol": found.protocol["name"],
        **found.mode,
        "architecture": subject["architecture"],
        "timm_model": subject["timm"],
        **{name: subject[name] for name in ("macs", "params", "image_size", "channels", "classes")},
        "tokens": subject.get("tokens"),
        "threads": found.provenance["resources"]["threads"],
        "torch": versions["torch"],
        "timm": versions["timm"],
        **(subject["run"] or {}),
    }


def _drifts(found: Measurement) -> list[float | None]:
    """Return the control's drift in every session with a window here; None if unknown."""
    counted = {window["session"] for window in found.windows}
    return [session["drift"] for session in found.sessions if session["id"] in counted]


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def at_reference_batch(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows at the reference batch, which all models and modes of a session share."""
    return table[table["batch"] == table["reference_batch"]]


def chosen(table: pd.DataFrame, mode: str | None = None, device: str | None = None) -> pd.DataFrame:
    """Return the rows of one mode, of one device, or of both; none for a mode without measurements.

    Args:
        table: from `frame`.
        mode: as text or by its four words: "training, bfloat16, compiled" or "bf16-compile-nchw-training".
        device: one of the table's.

    Raises:
        SpecError: for an unknown mode, or a device without measurements.
    """
    devices = list(table["device"].unique())
    if device is not None and device not in devices:
        hint = "".join(f"did you mean {near!r}? " for near in get_close_matches(device, devices, n=1))
        raise SpecError(f"unknown device {device!r}: {hint}known are {'; '.join(sorted(devices)) or 'none'}")
    rows = table if device is None else table[table["device"] == device]
    if mode is None:
        return rows
    measured_in = [Mode.named(words) for words in table["mode"].unique()]
    return rows[rows["mode"] == Mode.named(mode, measured_in).words]


def join(runs: pd.DataFrame, table: pd.DataFrame, mode: str, device: str | None = None) -> pd.DataFrame:
    """Return a frame with the speed of its variants in one mode on one device, at the reference batch.

    Args:
        runs: has a column `variant`: a study's frame, or its summary.
        table: from `frame` with the same study.
        mode, device: as for `chosen`; the device may be omitted if there is only one.

    Returns:
        `runs` with `throughput`, `throughput_low`, `throughput_high`, `speed_memory_mib`, and `speed_mode`,
        `speed_device` and `speed_batch`. Of several measurements of a variant, the newest counts.

    Raises:
        SpecError: for an unknown mode or device, and for several devices without a choice.
    """
    rows = at_reference_batch(chosen(table, mode, device))
    _one_device(rows["device"].unique())
    columns = {
        "images_per_s": "throughput",
        "images_per_s_low": "throughput_low",
        "images_per_s_high": "throughput_high",
        "memory_mib": "speed_memory_mib",
        "mode": "speed_mode",
        "device": "speed_device",
        "batch": "speed_batch",
    }
    newest = rows.sort_values("measured_at", kind="stable").drop_duplicates("variant", keep="last")
    newest = newest.set_axis(newest["variant"].astype(str)).rename(columns=columns)[list(columns.values())]
    joined = newest.reindex(runs["variant"].astype(str)).set_axis(runs.index)
    return pd.concat([runs, joined], axis=1)


def _one_device(devices: Iterable[str]) -> None:
    found = sorted(devices)
    if len(found) > 1:
        raise SpecError(f"device must be one of {'; '.join(found)}, on which speed was measured; pass --device")
