"""Rules for the names of classes, the same for folders, metadata and `classes.txt`."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from ablate.spec.errors import SpecError
from ablate.spec.printable import UNSAFE

Names = tuple[str, ...]


def shown_name(name: str) -> str:
    """Return a name as it is, or with escapes where other names would look the same."""
    plain = name == _normal(name) and name.isprintable() and not UNSAFE.search(name)
    return name if plain else ascii(name)


def shown_names(names: Iterable[str]) -> str:
    """Return the first five names of some."""
    return ", ".join(map(shown_name, list(names)[:5]))


def check_names(names: Sequence[object], where: object) -> Names:
    """Return class names that are valid.

    Two classes may have one name, as `crane` in ImageNet.

    Args:
        where: what contains the names, for the message.

    Raises:
        SpecError: for something other than text, an empty name, one that is not UTF-8, and names that look the same.
    """
    seen: dict[str, str] = {}
    for number, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise SpecError(f"class {number} in {where} must have a name, got {name!a}; correct it")
        if not _is_utf8(name):
            raise SpecError(f"the name of class {number} in {where} must be UTF-8, got {name!a}; correct it")
        if (other := seen.setdefault(_normal(name), name)) != name:
            raise SpecError(
                f"classes in {where} must differ by more than Unicode normalisation and spaces at their ends, got "
                f"{other!a} and {name!a}; rename one of them"
            )
    return tuple(map(str, names))


def check_number(names: Sequence[str], where: object) -> None:
    """Refuse a single class."""
    if len(names) < 2:
        raise SpecError(f"{where} must have at least two classes to tell apart, got only {shown_names(names)}")


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip()


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
