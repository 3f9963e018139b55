"""A part in a file of the user's own: `use("my_mixer.py")` at the top of a study makes it known under its file's name.

The file keeps the rules of the package's own parts (see docs/extending.md) and is loaded when a model is built.
A request for a run carries the paths of such files, so a worker in another process knows them too.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from ablate.spec.errors import SpecError, unknown
from ablate.spec.parts import CHANNELS, MIXERS, STEMS
from ablate.spec.registry import Registry
from ablate.spec.run import Run
from ablate.spec.source import behaviour, defined

SLOTS = {"mixer": MIXERS, "channel": CHANNELS, "stem": STEMS}
WANTED = ("layer", "macs", "activations")


def use(path: str | Path, slot: str = "mixer") -> str:
    """Make a file's part known for a slot, and return the name it goes by: the file's, without `.py`.

    Args:
        path: of the file; a relative one starts at the folder of the file that calls this, else at the current one.
        slot: "mixer", "channel" or "stem".

    Raises:
        SpecError: when there is no such file, it lacks something a part needs, or its name is taken.
    """
    registry = _registry(slot)
    found = _find(Path(path), sys._getframe(1).f_globals.get("__file__"), registry.kind)
    behaviour(found)
    if missing := [name for name in WANTED if name not in defined(found)]:
        raise SpecError(
            f"{found} defines no {', '.join(missing)}; a {registry.kind}'s file defines BEHAVIOUR, " + ", ".join(WANTED)
        )
    registry.add(found.stem, str(found), found)
    return found.stem


def _registry(slot: str) -> Registry:
    if slot not in SLOTS:
        raise unknown("slot", slot, SLOTS)
    return SLOTS[slot]


def _find(path: Path, caller: str | None, kind: str) -> Path:
    """The file as an absolute path, looked for beside the caller's and in the current folder."""
    folders = [Path(caller).parent] if caller else []
    looked = [(folder / path).resolve() for folder in (*folders, Path())]
    for candidate in looked:
        if candidate.is_file() and candidate.suffix == ".py":
            return candidate
    raise SpecError(
        f"there is no {kind} file {path}; wanted is a .py file, looked for as "
        + " and ".join(dict.fromkeys(map(str, looked)))
    )


def files_of(run: Run) -> dict[str, str]:
    """The user's own files a run needs, by slot."""
    found = {slot: registry.file(getattr(run, slot)) for slot, registry in SLOTS.items()}
    return {slot: str(path) for slot, path in found.items() if path is not None}


def fingerprints(run: Run) -> dict[str, dict[str, str]]:
    """Path and sha256 of the user's own files a run needs, by slot, for its record: such a file has no commit."""
    hashed = {slot: hashlib.sha256(Path(path).read_bytes()).hexdigest() for slot, path in files_of(run).items()}
    return {slot: {"path": path, "sha256": hashed[slot]} for slot, path in files_of(run).items()}
