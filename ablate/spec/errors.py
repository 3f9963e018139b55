"""What a user gets to read for a request that cannot be met."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SpecError(ValueError):
    """A request that cannot be met: one sentence for the user, never a traceback."""


def unknown(kind: str, name: object, known: Iterable[str]) -> SpecError:
    """The error for a name nobody knows, with the nearest known one and the whole list."""
    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return SpecError(f"unknown {kind} {name!r}: {hint}known are {', '.join(names) or 'none'}")
