"""The claims of a study as small objects: `top1(mixer="patch_ff") - top1(mixer="attention") > -5`.

An expression is linear in measured quantities. Comparing it with a number gives an inequality without a truth value:
`ablate.results.verdict` judges it by the intervals of the records. No string is parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ablate.spec.errors import SpecError, unknown
from ablate.spec.printable import one_line, shown
from ablate.study.checks import check_number, check_sequence, check_text

SIZES = ("tokens", "depth", "dim", "batch")  # over which an exponent is fitted
UNTRAINED = ("throughput", "exponent", "params", "macs")  # the columns that need no training


@dataclass(frozen=True)
class Quantity:
    """One column of one variant: the control changed by `where`, or the variant labelled `label`.

    `where` contains fields with their values, and axes with one of their labels.

    `over` is the size of an exponent: "tokens", "depth", "dim" or "batch".
    """

    column: str
    label: str | None = None
    where: Mapping[str, Any] = field(default_factory=dict)
    over: str = ""

    def __str__(self) -> str:
        changes = ", ".join(f"{name}={value}" for name, value in self.where.items())
        over = f", over={self.over}" if self.over else ""
        return f"{self.column}({self.label or changes or 'control'}{over})"


@dataclass(frozen=True, eq=False)
class Expression:
    """A weighted sum of quantities, plus a constant."""

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
        raise TypeError("an inequality in a claim has no truth value; pass it to Claim(...)")

    def __str__(self) -> str:
        return f"{self.expression} {'>' if self.above else '<'} {0 - self.expression.constant:g}"


@dataclass(frozen=True)
class Claim:
    """A sentence, and the inequality that decides it; at all scales of its study, or at some.

    A claim about a value that only some scales have is judged at these: `scales=["digits"]`.
    """

    sentence: str
    holds: Inequality
    scales: Sequence[str] | None = None

    def __post_init__(self) -> None:
        check_text("the sentence of a claim", self.sentence)
        object.__setattr__(self, "sentence", one_line(self.sentence))
        if not isinstance(self.holds, Inequality):
            raise SpecError(f"claim {self.sentence!r} must have a comparison by < or >, got {shown(self.holds)}")
        for number in (self.holds.expression.constant, *(factor for factor, _ in self.holds.expression.terms)):
            check_number(f"every number in claim {self.sentence!r}", number)
        if self.scales is not None:
            check_sequence(f"scales of claim {self.sentence!r}", self.scales, "a list of names")
            if not self.scales:
                raise SpecError(f"scales of claim {self.sentence!r} must be a list of names, got {shown(self.scales)}")

    def quantities(self) -> list[Quantity]:
        """Return the measured quantities in the claim."""
        return [quantity for _, quantity in self.holds.expression.terms]


def _quantity(column: str, meaning: str) -> Callable[..., Expression]:
    def quantity(label: str | None = None, /, **where: Any) -> Expression:
        return Expression(((1.0, Quantity(column, label, where)),))

    quantity.__name__ = column
    quantity.__doc__ = f"{meaning} of the variant labelled `label`, or of the control changed by `where`."
    return quantity


def exponent(label: str | None = None, /, over: str = "tokens", **where: Any) -> Expression:
    """Exponent of the power law by which the time per image grows with the number of tokens, or with `over`.

    Of the variant labelled `label`, or of the control changed by `where`, over its measured sizes.
    """
    if over not in SIZES:
        raise unknown("size of an exponent", over, SIZES)
    return Expression(((1.0, Quantity("exponent", label, where, over)),))


top1 = _quantity("top1", "Test accuracy in percent")
top5 = _quantity("top5", "Test accuracy, counting the five highest logits, in percent")
loss = _quantity("loss", "Test loss in nats")
params = _quantity("params", "Number of parameters")
macs = _quantity("macs", "Multiply-accumulate operations for one image")
throughput = _quantity("throughput", "Images per second, in every mode that was measured,")
