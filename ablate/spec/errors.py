"""The error for a user's mistake, and the message for an unknown name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from ablate.spec.printable import shown


class SpecError(ValueError):
    """A request that cannot be fulfilled. The message is one sentence, which the user sees without a traceback."""


def unknown(kind: str, name: object, known: Iterable[str]) -> SpecError:
    """Return the error for an unknown name, with the most similar known name and the list of all."""
    return SpecError(f"unknown {kind} {shown(name)}: {known_names(name, sorted(known))}")


def known_names(name: object, names: Sequence[str]) -> str:
    """Return the end of a message about an unknown name: the most similar known name, and the list of all."""
    close = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known are {', '.join(names) or 'none'}"
