"""Measured speed and memory, as tables for a terminal and as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
import typer

from ablate.cli._options import print_columns
from ablate.measure.frames import Measured, at_reference_batch, tidy
from ablate.results.ranking import PairRanking, Stability, rankings, swapped
from ablate.results.scaling import Curve, curves

MEASURED = "measured"  # the status of a row with a number
FEW = 4  # models that fit side by side


def sentences(found: Sequence[Measured], ranked: Sequence[Stability], control: str | None) -> list[str]:
    """Return how time scales for models of three or more sizes; else which model is faster in how many modes.

    Args:
        control: return only pairs with this model; None returns all.
    """
    grown = [curve.sentence() for curve in _curves(found)]
    return grown or [pair.sentence() for pair in ranked if control in (None, pair.one, pair.other)]


def _curves(found: Sequence[Measured]) -> list[Curve]:
    """Return the curves of three or more sizes; two sizes have no confidence interval."""
    table = tidy(found)
    return [curve for over in ("tokens", "depth", "dim") for curve in curves(table, over) if curve.time.n > 2]


def print_rates(found: Sequence[Measured]) -> None:
    """Print images per second and peak memory at the reference batch, and the latency of one image, per device."""
    table, ranked = tidy(found), rankings(found)
    for (device, batch), rows in at_reference_batch(table).groupby(["device", "batch"], sort=False):
        first, where = str(rows["variant"].iloc[0]), f"batch {batch}, {device}"
        to_first = [one for one in ranked if (one.device, one.batch, one.one) == (device, batch, first)]
        ratios = {(one.mode, one.other): swapped(one) for one in to_first}
        _print_grid(
            f"images/s and ratio to {first} with its 95 % interval, {where}",
            rows,
            lambda row: _rate(row, ratios.get((row["mode"], str(row["variant"])))),  # noqa: B023 - called at once
        )
        _print_grid(f"peak memory (MiB), {where}", rows[rows["status"] == MEASURED], _memory)
        alone = table[(table["device"] == device) & (table["batch"] == 1)].dropna(subset="latency_p50_ms")
        _print_grid(f"latency of one image (ms): p50, p90, p99, {device}", alone, _latency)
    typer.echo("")


def _print_grid(title: str, rows: pd.DataFrame, cell: Callable[[Any], str]) -> None:
    """Print one row per mode and one column per model; the other way round for many models."""
    if rows.empty:
        return
    names, modes = ([str(one) for one in dict.fromkeys(rows[column])] for column in ("variant", "mode"))
    cells = {(str(row["mode"]), str(row["variant"])): cell(row) for _, row in rows.iterrows()}
    by_model = len(names) > max(len(modes), FEW)
    typer.echo(f"\n{title}")
    lines = [[mode, *(cells.get((mode, name), "-") for name in names)] for mode in modes]
    lines = [["MODEL" if by_model else "MODE", *names], *lines]
    print_columns(zip(*lines, strict=True) if by_model else lines)


def _rate(row: Any, ratio: PairRanking | None) -> str:
    if row["status"] != MEASURED:
        return str(row["status"])
    shown = f" ×{ratio.ratio:.2f}" if ratio and ratio.n else ""
    if ratio and ratio.low is not None and ratio.high is not None:
        shown += f" [{ratio.low:.2f}, {ratio.high:.2f}]"
    return f"{row['images_per_s']:,.0f}{shown}"


def _memory(row: Any) -> str:
    if row["memory_status"] != MEASURED:
        return str(row["memory_status"])
    return "-" if math.isnan(row["memory_mib"]) else f"{row['memory_mib']:,.0f}"


def _latency(row: Any) -> str:
    return ", ".join(f"{row[f'latency_{name}_ms']:.2f}" for name in ("p50", "p90", "p99"))


def as_json_content(found: Sequence[Measured], ranked: Sequence[Stability]) -> dict[str, Any]:
    """Return the measurements, every pair in every mode, and how time scales, ready for JSON."""
    rows = tidy(found).astype({"variant": str}).astype(object)
    return {
        "measurements": rows.where(rows.notna(), None).to_dict("records"),
        "ranking": [
            {
                "one": pair.one,
                "other": pair.other,
                "device": pair.device,
                "sentence": pair.sentence(),
                "modes": [asdict(one) | {"verdict": one.verdict} for one in pair.rankings],
            }
            for pair in ranked
        ],
        "scaling": [asdict(curve) | {"label": curve.label, "sentence": curve.sentence()} for curve in _curves(found)],
    }
