"""The user's own files: `use("my_mixer.py")` at the top of a study registers a part under the name of its file.

The file follows the same rules as the parts of the package (see docs/extending.md) and is loaded when it is needed.
The request for a run contains the paths of such files, so that workers in other processes register them too.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from ablate.spec.errors import SpecError, unknown
from ablate.spec.parts import CHANNELS, DATASETS, MIXERS, PLOT_FILES, STEMS
from ablate.spec.registry import Registry
from ablate.spec.run import Run
from ablate.spec.source import behaviour, defined, optional

SLOTS = {"mixer": MIXERS, "channel": CHANNELS, "stem": STEMS}
KINDS = {**SLOTS, "dataset": DATASETS, "plot": PLOT_FILES}
PART = ("BEHAVIOUR", "layer", "macs", "activations")
REQUIRED = dict.fromkeys(SLOTS, PART) | {
    "dataset": ("BEHAVIOUR", "CHANNELS", "CLASSES", "fingerprint", "check", "load"),
    "plot": ("TITLE", "INPUT", "draw"),
}


def use(path: str | Path, slot: str = "mixer") -> str:
    """Register the part in a file, and return its name: the name of the file without `.py`.

    Args:
        path: path of the file, relative to the folder of the calling file, else to the current folder.
        slot: "mixer", "channel", "stem", "dataset" or "plot".

    Raises:
        SpecError: when there is no such file, it lacks a required definition, or its name is in use.
    """
    registry = _registry(slot)
    found = _find(Path(path), sys._getframe(1).f_globals.get("__file__"), registry.kind)
    needed = REQUIRED[slot] + (("DIRECTORY",) if optional(found, "LOCATED", False) else ())
    if "BEHAVIOUR" in needed:
        behaviour(found)
    if missing := [name for name in needed if name not in defined(found)]:
        raise SpecError(
            f"{found} must define {', '.join(missing)}; the file of a {registry.kind} defines {', '.join(needed)}"
        )
    registry.add(found.stem, str(found), found)
    return found.stem


def _registry(slot: str) -> Registry:
    if slot not in KINDS:
        raise unknown("slot", slot, KINDS)
    return KINDS[slot]


def _find(path: Path, caller: str | None, kind: str) -> Path:
    """Return the absolute path of a file next to the caller's file or in the current folder."""
    folders = [Path(caller).parent] if caller else []
    tried = [(folder / path).resolve() for folder in (*folders, Path())]
    for candidate in tried:
        if candidate.is_file() and candidate.suffix == ".py":
            return candidate
    raise SpecError(
        f"there is no {kind} file {path}; it must be a .py file, tried " + " and ".join(dict.fromkeys(map(str, tried)))
    )


def files_of(run: Run) -> dict[str, str]:
    """Return the user's own files that the model of a run needs, by slot."""
    found = {slot: registry.file(getattr(run, slot)) for slot, registry in SLOTS.items()}
    return {slot: str(path) for slot, path in found.items() if path is not None}


def all_files_of(run: Run) -> dict[str, str]:
    """Return the user's own files that a run needs, by slot: those of its model and of its dataset."""
    own = DATASETS.file(run.dataset) if run.dataset in DATASETS else None
    return files_of(run) | ({"dataset": str(own)} if own else {})


def fingerprints(run: Run) -> dict[str, dict[str, str]]:
    """Return path and sha256 of the user's own files that a run needs, by slot: the commit does not cover them."""
    return {
        slot: {"path": path, "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest()}
        for slot, path in all_files_of(run).items()
    }
