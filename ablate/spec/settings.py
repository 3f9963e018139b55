"""The settings files: `ablate.toml` in the current folder, which overrides the one in the user's configuration folder.

    [data]
    imagenet = "/data/imagenet"

    [resources]
    threads = 4
    partition = "gpu"

Paths are relative to the folder of their file. Settings must not change a result; whatever does is a field of `Run`,
and belongs in a study.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from ablate.spec.errors import SpecError
from ablate.spec.printable import shown

NAME = "ablate.toml"


def files() -> list[Path]:
    """Return the paths of the settings files, in ascending order of precedence."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return [home / "ablate" / NAME, Path.cwd() / NAME]


def section(name: str) -> dict[str, Any]:
    """Return one table of the settings; the current folder's values override the user's.

    Raises:
        SpecError: when a file is not valid TOML, or the name is not a table.
    """
    found: dict[str, Any] = {}
    for path in files():
        found |= _table(path, name)
    return found


def _table(path: Path, name: str) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except RecursionError:
        raise SpecError(f"cannot read the settings {path}: it is nested too deeply") from None
    except OSError as error:
        raise SpecError(f"cannot read the settings {path}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecError(f"cannot read the settings {path}: {error}") from None
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise SpecError(f"{name} in {path} must be a table [{name}] with lines NAME = VALUE, got {shown(table)}")
    return table


def data_folders() -> dict[str, Path]:
    """Return paths of datasets by name: from the current folder's settings, else ABLATE_DATA, else the user's settings.

    ABLATE_DATA is a folder with one directory per dataset.

    Raises:
        SpecError: when a value in the settings is not a path.
    """
    user, here = (_data_table(path) for path in files())
    return user | _data_environment() | here


def _data_table(path: Path) -> dict[str, Path]:
    """Return the table [data] of one file."""
    found: dict[str, Path] = {}
    for name, value in _table(path, "data").items():
        if not isinstance(value, str):
            raise SpecError(f"data.{name} in {path} must be a path, in quotes, got {shown(value)}")
        found[name] = path.parent / os.path.expanduser(value)
    return found


def _data_environment() -> dict[str, Path]:
    """Return the directories in ABLATE_DATA; none if it is not set or does not exist."""
    folder = os.path.expanduser(os.environ.get("ABLATE_DATA", ""))
    if not folder or not Path(folder).is_dir():
        return {}
    found = sorted(Path(folder).absolute().iterdir())
    return {entry.name: entry for entry in found if entry.is_dir() and not entry.name.startswith(".")}


def cache_folder() -> Path:
    """Return the cache folder: ABLATE_CACHE, else `ablate` in the user's cache folder."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("ABLATE_CACHE") or home / "ablate")
