"""What was measured of speed, for a terminal or a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from ablate.cli._options import print_columns

if TYPE_CHECKING:
    from ablate.ranking import Order, Stability
    from ablate.scaling import Curve
    from ablate.speed import Measured


def sentences(found: Sequence[Measured], ranked: Sequence[Stability], control: str | None) -> list[str]:
    """How time grows where there are three sizes or more of a model; else who is faster in how many modes.

    Args:
        control: only pairs with it are told; None tells all.
    """
    grown = [curve.sentence() for curve in _curves(found)]
    return grown or [pair.sentence() for pair in ranked if control in (None, pair.one, pair.other)]


def _curves(found: Sequence[Measured]) -> list[Curve]:
    """Of three sizes or more: two have no interval."""
    from ablate.scaling import curves
    from ablate.speed import tidy

    table = tidy(found)
    return [curve for over in ("tokens", "depth", "dim") for curve in curves(table, over) if curve.time.n > 2]


def print_rates(found: Sequence[Measured]) -> None:
    """Images per second at the headline batch: a row a mode, a column a model, with its ratio to the first."""
    from ablate.ranking import orders, turned
    from ablate.speed import headline, tidy

    table, ordered = headline(tidy(found)), orders(found)
    for (device, batch), rows in table.groupby(["device", "batch"], sort=False):
        names = [str(name) for name in dict.fromkeys(rows["variant"])]
        typer.echo(f"\nimages/s and ratio to {names[0]} with its 95 % interval, batch {batch}, {device}")
        ratios = {(o.mode, o.other): turned(o) for o in ordered if o.device == device and o.one == names[0]}
        lines = [["MODE", *names]]
        for mode, each in rows.groupby("mode", sort=False):
            of = each.set_index(each["variant"].astype(str))
            lines.append([str(mode), *(_cell(of, name, ratios.get((str(mode), name))) for name in names)])
        print_columns(lines)
    typer.echo("")


def _cell(rows: Any, name: str, ratio: Order | None) -> str:
    if name not in rows.index:
        return "-"
    row = rows.loc[name]
    if row["status"] != "measured":
        return "out of memory"
    told = f" ×{ratio.ratio:.2f}" if ratio and ratio.n else ""
    if ratio and ratio.low is not None and ratio.high is not None:
        told += f" [{ratio.low:.2f}, {ratio.high:.2f}]"
    return f"{row['images_per_s']:,.0f}{told}"


def as_json_content(found: Sequence[Measured], ranked: Sequence[Stability]) -> dict[str, Any]:
    """The measurements, every pair in every mode, and how time grows: JSON-ready."""
    from ablate.speed import tidy

    rows = tidy(found).astype({"variant": str}).astype(object)
    return {
        "measurements": rows.where(rows.notna(), None).to_dict("records"),
        "ranking": [
            {
                "one": pair.one,
                "other": pair.other,
                "device": pair.device,
                "sentence": pair.sentence(),
                "modes": [asdict(order) | {"verdict": order.verdict} for order in pair.orders],
            }
            for pair in ranked
        ],
        "scaling": [asdict(curve) | {"label": curve.label, "sentence": curve.sentence()} for curve in _curves(found)],
    }
