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
import stat
import tempfile
import tomllib
from collections import ChainMap
from pathlib import Path
from typing import Any

from ablate.spec.errors import SpecError
from ablate.spec.printable import shown

NAME = "ablate.toml"


def files() -> list[Path]:
    """Return the paths of the settings files, in ascending order of precedence; a user may have none."""
    user = _user_folder("XDG_CONFIG_HOME", ".config")
    return [*([user / NAME] if user else []), Path.cwd() / NAME]


def _user_folder(variable: str, name: str) -> Path | None:
    """Return the user's folder `ablate` in the folder of a variable, else below the home; None without a home."""
    if given := os.environ.get(variable):
        return Path(given) / "ablate"
    try:
        return Path.home() / name / "ablate"
    except RuntimeError:  # HOME is not set, and the user is not in the list of users
        return None


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
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for ever
            raise SpecError(f"cannot read the settings {path}: it must be a regular file")
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except RecursionError:
        raise SpecError(f"cannot read the settings {path}: it is nested too deeply") from None
    except OSError as error:
        if isinstance(error, PermissionError) and not os.access(path.parent, os.X_OK):
            return {}  # the home of another user, which sudo may leave
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
    *user, here = (_data_table(path) for path in files())
    return dict(ChainMap(here, _data_environment(), *user))


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
    """Return the cache folder: ABLATE_CACHE, else `ablate` in the user's cache folder, else one for temporary files.

    Raises:
        SpecError: when that belongs to another user.
    """
    if given := os.environ.get("ABLATE_CACHE"):
        return Path(given)
    found = _user_folder("XDG_CACHE_HOME", ".cache")
    if found and _is_writable(found):
        return found
    shared = Path(tempfile.gettempdir()) / f"ablate-cache-{os.getuid()}"
    if os.path.lexists(shared) and shared.lstat().st_uid != os.getuid():
        raise SpecError(f"the cache {shared} belongs to another user; set ABLATE_CACHE to a folder of your own")
    return shared


def _is_writable(folder: Path) -> bool:
    """Whether a folder can be written, or can be created in the nearest one above it that exists."""
    there = next((one for one in (folder, *folder.absolute().parents) if os.path.lexists(one)), folder)
    return os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK)
