"""What a study claims, as small objects: `top1(mixer="patch_ff") - top1(mixer="attention") > -5`.

An expression is linear in measured quantities; comparing it with a number makes a comparison, which has no truth
value of its own: `ablate.results.verdict` judges it from the intervals of the records. No string is parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ablate.spec.errors import SpecError

UNTRAINED = ("throughput", "exponent", "params", "macs")  # the columns that need no training


@dataclass(frozen=True)
class Quantity:
    """One column of one variant: the control but for `where`, or the variant labelled `label`.

    `where` holds fields with their values, and axes with one of their labels.

    `over` is what an exponent is of: "tokens", "depth", "dim" or "batch".
    """

    column: str
    label: str | None = None
    where: Mapping[str, Any] = field(default_factory=dict)
    over: str = ""

    def __str__(self) -> str:
        wanted = ", ".join(f"{name}={value}" for name, value in self.where.items())
        over = f", over={self.over}" if self.over else ""
        return f"{self.column}({self.label or wanted or 'control'}{over})"


@dataclass(frozen=True, eq=False)
class Expression:
    """A sum of quantities with factors, and a constant."""

    terms: tuple[tuple[float, Quantity], ...]
    constant: float = 0.0

    def __add__(self, other: Expression | float) -> Expression:
        if isinstance(other, Expression):
            return Expression(self.terms + other.terms, self.constant + other.constant)
        return Expression(self.terms, self.constant + other)

    def __mul__(self, factor: float) -> Expression:
        return Expression(tuple((factor * f, quantity) for f, quantity in self.terms), factor * self.constant)

    def __neg__(self) -> Expression:
        return self * -1.0

    def __sub__(self, other: Expression | float) -> Expression:
        return self + (-other)

    def __rsub__(self, other: float) -> Expression:
        return -self + other

    __radd__ = __add__
    __rmul__ = __mul__

    def __gt__(self, other: Expression | float) -> Inequality:
        return Inequality(self - other, above=True)

    def __lt__(self, other: Expression | float) -> Inequality:
        return Inequality(self - other, above=False)

    def __bool__(self) -> bool:
        raise TypeError("an expression of a claim has no truth value; compare it with < or > inside Claim(...)")

    def __str__(self) -> str:
        parts = [f"{'-' if f < 0 else '+'} {'' if abs(f) == 1 else f'{abs(f):g}·'}{q}" for f, q in self.terms]
        return " ".join(parts).removeprefix("+ ")


@dataclass(frozen=True, eq=False)
class Inequality:
    """`expression > 0` if `above`, else `expression < 0`; the threshold is in the expression's constant."""

    expression: Expression
    above: bool

    def __bool__(self) -> bool:
        raise TypeError("a comparison in a claim has no truth value before its records; pass it to Claim(...)")

    def __str__(self) -> str:
        return f"{self.expression} {'>' if self.above else '<'} {0 - self.expression.constant:g}"


@dataclass(frozen=True)
class Claim:
    """A sentence, and the comparison that decides it; at all scales of its study, or at some.

    A claim that names a value is judged where its study has that value: `scales=["digits"]`.
    """

    sentence: str
    holds: Inequality
    scales: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.holds, Inequality):
            raise SpecError(f"claim {self.sentence!r} holds {self.holds!r}; wanted is a comparison by < or >")
        if self.scales is not None and (isinstance(self.scales, str) or not self.scales):
            raise SpecError(f"claim {self.sentence!r} has scales {self.scales!r}; wanted is a list of scales' names")

    def quantities(self) -> list[Quantity]:
        """The measured quantities the claim speaks of."""
        return [quantity for _, quantity in self.holds.expression.terms]


def _quantity(column: str, meaning: str) -> Callable[..., Expression]:
    def quantity(label: str | None = None, /, **where: Any) -> Expression:
        return Expression(((1.0, Quantity(column, label, where)),))

    quantity.__name__ = column
    quantity.__doc__ = f"{meaning} of the variant labelled `label`, or of the control but for `where`."
    return quantity


def exponent(label: str | None = None, /, over: str = "tokens", **where: Any) -> Expression:
    """How the time of one image grows with the number of tokens, or with `over`: the exponent of a power law.

    Of the variant labelled `label`, or of the control but for `where`, over the sizes that were measured of it.
    """
    return Expression(((1.0, Quantity("exponent", label, where, over)),))


top1 = _quantity("top1", "Test accuracy in percent")
top5 = _quantity("top5", "Test accuracy, counting the five highest logits, in percent")
loss = _quantity("loss", "Test loss in nats")
params = _quantity("params", "Number of parameters")
macs = _quantity("macs", "Multiply-accumulate operations for one image")
throughput = _quantity("throughput", "Images per second, in every mode that was measured,")
