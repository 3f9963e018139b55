"""What `ablate plan --audit` prints of each variant: what it changes, what comes along, what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ablate.study.compare import Comparison

NUMBERS = {"params": "params", "macs": "MACs", "tokens": "tokens", "frozen": "frozen params"}


def print_audits(audits: Sequence[Comparison]) -> None:
    """A paragraph for every variant."""
    for channels, classes in dict.fromkeys((audit.after.channels, audit.after.classes) for audit in audits):
        typer.echo(f"\nModels for {channels} channel{'s' * (channels > 1)} and {classes:,} classes:")
    for audit in audits:
        typer.echo(f"\n{audit.variant}")
        for title, text in _lines(audit):
            typer.echo(f"    {title:14} {text}".rstrip())


def _lines(audit: Comparison) -> Iterator[tuple[str, str]]:
    from ablate.study.compare import in_words

    fields = [f"{name}={value}" for name, (_, value) in audit.fields.items()]
    yield "changes", ", ".join(fields) or "nothing: it is the control"
    if audit.match:
        yield "matched", str(audit.match)
    yield from (
        ("model", line) for line in in_words(change for change in audit.factor_changes if change.kind != "shape")
    )
    if shapes := sum(change.kind == "shape" for change in audit.factor_changes):
        yield "model", f"{shapes} parameters of another shape"
    yield from (("also changes", line) for line in audit.also_changes)
    if audit.receptive_field_gap:
        yield "BLIND", audit.receptive_field_gap
    for name, (control, value) in audit.numbers().items():
        if name in NUMBERS and (name != "frozen" or control or value):
            yield NUMBERS[name], _against(value, control)
    decayed = [f"{name} {_against(value, a)}" for name, (a, value) in audit.numbers().items() if "decayed" in name]
    yield "weight decay", "; ".join(decayed)


def _against(value: int, control: int) -> str:
    """A number, and how far it is from the control's."""
    if value == control:
        return f"{value:,}"
    share = f", {100 * (value / control - 1):+.1f} %" if control else ""
    return f"{value:,} ({value - control:+,}{share})".replace("-", "\N{MINUS SIGN}")
