"""What `ablate plan --compare` prints: what each variant changes, intended or not, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ablate.study.compare import Comparison

NUMBERS = {"params": "params", "macs": "MACs", "tokens": "tokens", "frozen": "frozen params"}


def print_comparison(comparisons: Sequence[Comparison]) -> None:
    """Print one paragraph per variant."""
    for channels, classes in dict.fromkeys((one.after.channels, one.after.classes) for one in comparisons):
        typer.echo(f"\nModels for {channels} channel{'s' * (channels > 1)} and {classes:,} classes:")
    for one in comparisons:
        typer.echo(f"\n{one.variant}")
        for title, text in _lines(one):
            typer.echo(f"    {title:14} {text}".rstrip())


def _lines(one: Comparison) -> Iterator[tuple[str, str]]:
    from ablate.study.compare import in_words

    fields = [f"{name}={value}" for name, (_, value) in one.fields.items()]
    yield "changes", ", ".join(fields) or "nothing (control)"
    if one.match:
        yield "matched", str(one.match)
    yield from (("model", line) for line in in_words(change for change in one.factor_changes if change.kind != "shape"))
    if shapes := sum(change.kind == "shape" for change in one.factor_changes):
        yield "model", f"{shapes} parameters of different shape"
    yield from (("also changes", line) for line in one.also_changes)
    if one.receptive_field_gap:
        yield "receptive field", one.receptive_field_gap
    for name, (control, value) in one.numbers().items():
        if name in NUMBERS and (name != "frozen" or control or value):
            yield NUMBERS[name], _difference(value, control)
    decayed = [f"{name} {_difference(value, a)}" for name, (a, value) in one.numbers().items() if "decayed" in name]
    yield "weight decay", "; ".join(decayed)


def _difference(value: int, control: int) -> str:
    """Return a number, and its difference from the control's."""
    if value == control:
        return f"{value:,}"
    share = f", {100 * (value / control - 1):+.1f} %" if control else ""
    return f"{value:,} ({value - control:+,}{share})".replace("-", "\N{MINUS SIGN}")
