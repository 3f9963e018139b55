"""The architecture of a run's model as plain data: modules, treatment of parameters, norms, dropout, receptive field.

`ablate.study.outline` makes it on the meta device. It is cached, so that a plan of known architectures needs no torch.
All blocks have the same structure and appear once, as `blocks.*`. The cached files may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import orjson

from ablate.spec.parts import CHANNELS, MIXERS, STEMS
from ablate.spec.plugins import files_of
from ablate.spec.processes import command, without_ranks
from ablate.spec.run import Run
from ablate.store.cache import read_sealed, write_sealed

_PACKAGE = Path(__file__).parents[1]
SOURCES = (
    "model/block",
    "model/build",
    "model/cost",
    "model/mixers/_grid",
    "model/own",
    "spec/source",
    "study/architecture",
    "study/outline",
    "study/receptive_field",
    "train/optim",
)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The architecture of a model.

    Args:
        modules: the class of each module except those without a function.
        shapes: the shape of each parameter.
        treatment: of each parameter: "decayed", "not decayed" or "frozen".
        norms: the axis of each norm: "channels", "tokens" or "batch".
        dropout: rates above 0, of dropout and, for the last block, of drop path.
        sizes: the number of parameters by treatment.
        order: the branches of a block, "mixer" and "channel", in order.
        costs: from `ablate.model.cost.complexity`.
        channels: the channels of its images.
        classes: the number of classes.
        patches: the number of patches of the probe; fewer than the image's if these are very many.
        unseen: the number of patches that the logits do not depend on.
    """

    modules: dict[str, str]
    shapes: dict[str, list[int]]
    treatment: dict[str, str]
    norms: dict[str, str]
    dropout: dict[str, float]
    sizes: dict[str, int]
    order: list[str]
    costs: dict[str, int]
    channels: int
    classes: int
    patches: int
    unseen: int

    @property
    def receptive_field_gap(self) -> str:
        """Return a sentence on the patches that the logits do not depend on; empty if they depend on all."""
        if self.unseen == self.patches:
            return "the logits do not depend on the image"
        return f"the logits do not depend on {self.unseen} of {self.patches} patches" if self.unseen else ""


def key_of(run: Run, channels: int, classes: int) -> str:
    """Return the cache key of an architecture, from the fields that shape it, source files and versions."""
    parts = [run.architecture, run.decay_pos_embed, channels, classes, _versions()]
    own = [registry.path(name) for registry, name in ((MIXERS, run.mixer), (CHANNELS, run.channel), (STEMS, run.stem))]
    digests = [_digest(path) for path in (*own, *(_PACKAGE / f"{name}.py" for name in SOURCES))]
    return hashlib.sha256(repr([*parts, *digests]).encode()).hexdigest()[:16]


@cache
def _versions() -> tuple[str, str]:
    return version("timm"), version("torch")


@cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(path: Path) -> Architecture | None:
    """Read a cached architecture; return None if the file is missing or damaged."""
    try:
        content = read_sealed(path)
        return Architecture(**content) if content else None
    except TypeError:
        return None


def write(path: Path, found: Architecture) -> None:
    """Cache an architecture if the folder is writable."""
    try:
        write_sealed(path, asdict(found))
    except OSError:
        return  # the cache is optional: the architecture is made again when needed


def fill(folder: Path, requests: Iterable[tuple[Run, int, int]]) -> None:
    """Make missing architectures in another process, which frees torch's memory when it ends.

    If it fails, architectures are made when they are needed.

    Args:
        requests: runs, each with the channels and classes of its dataset.
    """
    missing = {path: request for request in requests if read(path := folder / f"{key_of(*request)}.json") is None}
    if missing and "torch" not in sys.modules:
        orders = [
            {"path": str(path), "run": run.to_dict(), "files": files_of(run), "channels": channels, "classes": classes}
            for path, (run, channels, classes) in missing.items()
        ]
        environment = without_ranks(os.environ)
        subprocess.run(
            command("ablate.study.outline"),
            env=environment,
            input=orjson.dumps(orders),
            capture_output=True,
            check=False,
        )
