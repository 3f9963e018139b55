"""What a run's model is made of, as plain data: its modules, what becomes of each parameter, norms, dropout, blindness.

Made on the meta device by `ablate.study.outline` and cached by architecture, so that a plan seen once needs no torch.
Blocks are alike and stand once, as `blocks.*`. The kept files may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from ablate.spec.parts import CHANNELS, MIXERS, STEMS
from ablate.spec.plugins import files_of
from ablate.spec.run import Run
from ablate.store.root import write_atomically

_PACKAGE = Path(__file__).parents[1]
SOURCES = (
    "model/block",
    "model/build",
    "model/cost",
    "model/mixers/_grid",
    "spec/source",
    "study/architecture",
    "study/outline",
    "study/receptive_field",
    "train/optim",
)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A model in outline.

    Args:
        modules: the class of each module that does something.
        shapes: of each parameter.
        treatment: of each parameter: "decayed", "not decayed" or "frozen".
        norms: of each norm, the axis it runs over: "channels", "tokens" or "batch".
        dropout: rates above 0, of dropout and, for the last block, of drop path.
        sizes: number of parameters by treatment.
        order: the branches of a block, "mixer" and "channel", the first one first.
        costs: what `ablate.model.cost.complexity` says.
        channels: of the pictures it is for.
        classes: number of them.
        patches: number of patches the probe had; where the picture has very many, fewer.
        unseen: patches that the logits do not depend on.
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
        """What the logits cannot depend on, in a sentence; empty where they can depend on every patch."""
        if self.unseen == self.patches:
            return "the logits do not depend on the image"
        return f"the logits do not depend on {self.unseen} of {self.patches} patches" if self.unseen else ""


def key_of(run: Run, channels: int, classes: int) -> str:
    """The name an architecture is kept under: what shapes it, and the sources and versions it comes from."""
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


def kept(path: Path) -> Architecture | None:
    """What a file keeps; None where there is none, or a damaged one."""
    try:
        content: dict[str, Any] = orjson.loads(path.read_bytes())
        return Architecture(**content)
    except (OSError, ValueError, TypeError):
        return None


def keep(path: Path, found: Architecture) -> None:
    """Keep an architecture, where the folder can be written."""
    try:
        write_atomically(path, orjson.dumps(asdict(found)), durable=False)
    except OSError:
        return  # nothing depends on it: the next one works it out again


def fill(folder: Path, wanted: Iterable[tuple[Run, int, int]]) -> None:
    """Have the architectures that a folder lacks worked out by another process, which takes torch's memory with it.

    Nothing depends on it: what is still lacking afterwards is worked out where it is needed.

    Args:
        wanted: runs, each with the channels and classes of its data.
    """
    missing = {path: asked for asked in wanted if kept(path := folder / f"{key_of(*asked)}.json") is None}
    if missing and "torch" not in sys.modules:
        asked_for = [
            {"path": str(path), "run": run.to_dict(), "files": files_of(run), "channels": channels, "classes": classes}
            for path, (run, channels, classes) in missing.items()
        ]
        command = [sys.executable, "-m", "ablate.study.outline"]
        subprocess.run(command, input=orjson.dumps(asked_for), capture_output=True, check=False)
