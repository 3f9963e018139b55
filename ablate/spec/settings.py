"""The user's standing settings: `ablate.toml` in the current folder, over the one in the user's configuration folder.

    [data]
    imagenet = "/data/imagenet"

    [resources]
    threads = 4
    partition = "gpu"

A path is taken from the folder of the file that holds it. Nothing here may change a number: what does is a field of
`Run`, and stands in a study.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from ablate.spec.errors import SpecError

NAME = "ablate.toml"


def files() -> list[Path]:
    """The settings files there may be, the one that has the last word at the end."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return [home / "ablate" / NAME, Path.cwd() / NAME]


def section(name: str) -> dict[str, Any]:
    """One table of the settings, the user's under the current folder's.

    Raises:
        SpecError: when a file is no TOML, or the table is none.
    """
    found: dict[str, Any] = {}
    for path in files():
        found |= _table(path, name)
    return found


def _table(path: Path, name: str) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecError(f"cannot read the settings {path}: {error}") from None
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise SpecError(f"{name} in {path} is {table!r}; wanted is a table [{name}] with lines NAME = VALUE")
    return table


def data_folders() -> dict[str, Path]:
    """Where data sets lie, by name: as the current folder's settings say, else ABLATE_DATA, else the user's settings.

    ABLATE_DATA is a folder with one directory a data set.

    Raises:
        SpecError: when a place in the settings is no path.
    """
    user, here = (_places(path) for path in files())
    return user | _shelf() | here


def _places(path: Path) -> dict[str, Path]:
    """The table [data] of one file."""
    found: dict[str, Path] = {}
    for name, place in _table(path, "data").items():
        if not isinstance(place, str):
            raise SpecError(f"data.{name} in {path} is {place!r}; wanted is a path, in quotes")
        found[name] = path.parent / Path(place).expanduser()
    return found


def _shelf() -> dict[str, Path]:
    """The directories in ABLATE_DATA; none where it is not set or not there."""
    shelf = os.environ.get("ABLATE_DATA")
    if not shelf or not Path(shelf).is_dir():
        return {}
    return {entry.name: entry for entry in sorted(Path(shelf).absolute().iterdir()) if entry.is_dir()}


def cache_folder() -> Path:
    """Where what can be made again is kept: ABLATE_CACHE, else `ablate` in the user's cache folder."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("ABLATE_CACHE") or home / "ablate")
