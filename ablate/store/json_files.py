"""Read a small JSON file against a declared shape: its value, None if there is none, or why it is unreadable.

Files under `runs/` can be cut, emptied or edited. Whoever reads one gets an `Unreadable` that names the file, never an
exception of the content, so that one damaged file does not stop a command for other runs.
"""

from __future__ import annotations

import math
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson

from ablate.spec.printable import printable

Value = TypeVar("Value")
Shape = Mapping[str, type]
NAMES = {
    int: "an integer",
    float: "a finite number",
    str: "text",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}


@dataclass(frozen=True)
class Unreadable:
    """A file that exists and cannot be read, or has another shape."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return printable(f"{self.path} is unreadable: {self.reason}")


def read(path: Path, parse: Callable[[Any], Value]) -> Value | Unreadable | None:
    """Return what a file contains; None if there is no file.

    Args:
        parse: returns the value of the decoded content, or raises ValueError with the reason why it is none.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for ever
            return Unreadable(path, "it is not a regular file")
        return parse(orjson.loads(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return Unreadable(path, error.strerror or str(error))
    except orjson.JSONDecodeError as error:
        return Unreadable(path, f"it is not JSON ({error})")
    except ValueError as error:
        return Unreadable(path, str(error))


def checked(content: Any, required: Shape, optional: Shape | None = None) -> dict[str, Any]:
    """Return the declared fields of a decoded object; an optional field may be missing or null, and is then left out.

    A `float` may be written as an integer, and must be finite; true and false are no numbers.

    Raises:
        ValueError: when it is no object, or a field is missing or of another type.
    """
    if not isinstance(content, dict):
        raise ValueError(f"it must be a JSON object, got {shown(content)}")
    if missing := [name for name in required if name not in content]:
        raise ValueError(f"it lacks {', '.join(missing)}")
    given = {name: content[name] for name in optional or () if content.get(name) is not None}
    found = {name: content[name] for name in required} | given
    kinds = {**(optional or {}), **required}
    for name, value in found.items():
        if not is_of(value, kinds[name]):
            raise ValueError(f"{name} must be {NAMES[kinds[name]]}, got {shown(value)}")
    return found


def shown(value: Any) -> str:
    """Return a decoded value as JSON, short enough for a message."""
    text = orjson.dumps(value).decode()
    return text if len(text) <= 40 else f"{text[:39]}…"


def is_of(value: Any, kind: type) -> bool:
    """Return whether a decoded value is of a type, as `checked` defines it."""
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is kind
