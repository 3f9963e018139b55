"""How speed is measured: the modes (dtype × execution × layout × work) and the length of measurements.

A ranking of models can change between two modes, so a speed is meaningful with its mode only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import product
from typing import Any

from ablate.spec.errors import SpecError, unknown

# Raised when the method changes, so that older measurements are not compared with new ones.
METHOD = 1

# Each part of a mode with its values, the default ones first.
DTYPES = {
    "fp32": "float32; TensorFloat-32 off",
    "bf16": "bfloat16 by autocast, as a run with this precision trains",
    "tf32": "float32, with TensorFloat-32 in products of matrices",
    "fp16": "float16 by autocast, in training with a loss scaler",
    "bf16pure": "weights and inputs in bfloat16, no autocast",
}
IN_WORDS = {
    "fp32": "float32",
    "bf16": "bfloat16",
    "tf32": "TensorFloat-32",
    "fp16": "float16",
    "bf16pure": "bfloat16 weights",
    "eager": "eager",
    "compile": "compiled",
}
EXECUTION = ("eager", "compile")
LAYOUTS = ("nchw", "nhwc")
WORK = ("inference", "training")
WORDS: Mapping[str, Sequence[str]] = {"dtype": tuple(DTYPES), "execution": EXECUTION, "layout": LAYOUTS, "work": WORK}
USUAL: Mapping[str, Sequence[str]] = {
    "dtype": ("fp32", "bf16"),
    "execution": EXECUTION,
    "layout": ("nchw",),
    "work": WORK,
}
# Batch sizes by type of device: the reference batch first.
BATCHES: Mapping[str, Sequence[int]] = {"cpu": (64, 1, 16), "cuda": (256, 1, 16, 64, 512, 1024)}


@dataclass(frozen=True)
class Mode:
    """One way to run a model; as a text its four words, such as "bf16-compile-nchw-training"."""

    dtype: str = "fp32"
    execution: str = "eager"
    layout: str = "nchw"
    work: str = "inference"

    def __post_init__(self) -> None:
        for item in fields(self):
            if (value := getattr(self, item.name)) not in WORDS[item.name]:
                raise unknown(item.name, value, WORDS[item.name])

    def __str__(self) -> str:
        return "-".join(asdict(self).values())

    @property
    def words(self) -> str:
        """Return the mode as text: "training, bfloat16, compiled"."""
        layout = ("channels last",) if self.layout == "nhwc" else ()
        return ", ".join((self.work, IN_WORDS[self.dtype], IN_WORDS[self.execution], *layout))

    @classmethod
    def of(cls, text: str) -> Mode:
        """Return the mode with the given four words.

        Raises:
            SpecError: if there is none, or several.
        """
        if len(found := matrix(text)) != 1 or str(found[0]) != text:
            raise SpecError(f"mode must be four words such as {found[0]}, got {text!r}")
        return found[0]

    @classmethod
    def named(cls, text: str, known: Iterable[Mode] = ()) -> Mode:
        """Return the mode with this name: "bf16-compile-nchw-training", or its `words`, "training, float32, eager".

        Args:
            known: suggestions for a wrong name; the default is the usual matrix.

        Raises:
            SpecError: if no mode has this name.
        """
        for mode in (cls(*values) for values in product(*WORDS.values())):
            if text in (str(mode), mode.words):
                return mode
        likely = list(known) or matrix()
        raise unknown("mode", text, [mode.words if "," in text else str(mode) for mode in likely])


def matrix(text: str | None = None) -> list[Mode]:
    """Return the modes of a text such as "bf16-compile, fp32"; an omitted word means its default values.

    Raises:
        SpecError: for an unknown word, or two words of one kind.
    """
    parts = [part.strip() for part in text.split(",")] if text else [""]
    return list(dict.fromkeys(mode for part in parts for mode in _some(part)))


def _some(part: str) -> list[Mode]:
    chosen: dict[str, str] = {}
    for word in filter(None, part.split("-")):
        kind = next((kind for kind, words in WORDS.items() if word in words), None)
        if kind is None:
            raise unknown("word of a mode", word, [word for words in WORDS.values() for word in words])
        if kind in chosen:
            raise SpecError(f"mode {part!r} must have one {kind}, got two; separate several modes by commas")
        chosen[kind] = word
    return [Mode(*values) for values in product(*([chosen[k]] if k in chosen else USUAL[k] for k in WORDS))]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The lengths of a measurement.

    Args:
        rounds: the number of windows of each model; between two of them every other model has one.
        window_s: the minimum length of a window.
        warmup_s: the minimum warm-up after the first step.
        warmup_steps: the minimum number of steps in the warm-up.
        warmup_most_s: the maximum warm-up, even if consecutive windows differ by more than `agreement`.
        agreement: the largest relative difference of two such windows.
        calls: single images timed in each round, for the latency.
    """

    name: str
    rounds: int
    window_s: float
    warmup_s: float
    warmup_steps: int
    warmup_most_s: float
    calls: int
    agreement: float = 0.02

    def to_dict(self) -> dict[str, Any]:
        """Return all settings, for JSON."""
        return asdict(self)

    def met_by(self, other: Mapping[str, Any]) -> bool:
        """Return whether another protocol's settings are at least as thorough."""
        least = ("rounds", "window_s", "warmup_s", "warmup_steps", "warmup_most_s", "calls")
        return all(other[name] >= getattr(self, name) for name in least) and other["agreement"] <= self.agreement


FULL = Protocol(name="full", rounds=5, window_s=2.0, warmup_s=3.0, warmup_steps=10, warmup_most_s=60.0, calls=100)
# Sized by a time budget: the reference batch of every mode first, the rest as time allows.
BUDGET = Protocol(name="budget", rounds=3, window_s=0.3, warmup_s=1.0, warmup_steps=10, warmup_most_s=5.0, calls=50)
QUICK = Protocol(name="quick", rounds=3, window_s=0.2, warmup_s=0.2, warmup_steps=3, warmup_most_s=1.0, calls=20)
