"""Find the images of each class below a folder, as torchvision's ImageFolder does, and count what is left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ablate.data.datasets._layout import HIDDEN, refuse_bytes
from ablate.spec.errors import SpecError

# Those of torchvision's ImageFolder, and two more names of JPEG.
SUFFIXES = (".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")

Entries = list[os.DirEntry[str]]
Folders = frozenset[tuple[int, int]]


@dataclass
class Listing:
    """The images of a part.

    Args:
        part: the folder, such as `train`.
        images: files of each class: those directly in its folder, then those of the folders in it, by path.
        left_out: number of other files, by reason.
        deeper: folders within class folders.
    """

    part: Path
    images: dict[str, Entries] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    deeper: list[str] = field(default_factory=list)

    def name(self, entry: os.DirEntry[str]) -> str:
        """Return the path of an image from the name of the part on."""
        return f"{self.part.name}/{entry.path[len(os.fspath(self.part)) + 1 :]}"


def entries(folder: Path | str) -> Entries:
    """Return the entries of a folder in alphabetical order, without hidden ones.

    Raises:
        SpecError: when the folder cannot be read, or contains a link to nothing.
    """
    try:
        with os.scandir(folder) as found:
            kept = sorted((one for one in found if not one.name.startswith(HIDDEN)), key=lambda one: one.name)
    except OSError as error:
        raise SpecError(f"{folder} cannot be read: {error.strerror}") from None
    for entry in kept:
        refuse_dangling(entry)
    return kept


def refuse_dangling(path: os.DirEntry[str] | Path) -> None:
    """Refuse a link whose target does not exist or cannot be reached."""
    if path.is_symlink() and not os.path.exists(path):
        raise SpecError(
            f"{os.fspath(path)} must not be a link to nothing, {os.readlink(path)}; restore it or remove it"
        )


def list_part(part: Path) -> Listing:
    """Return the images of each class of a part, with classes in alphabetical order.

    Raises:
        SpecError: when there are no classes, or one has no images.
    """
    found = Listing(part)
    own = entries(part)
    for entry in own:
        if entry.is_dir():
            refuse_bytes(Path(entry.path), "the name of class")
            found.images[entry.name] = _list_class(entry.path, found)
        else:
            found.left_out[_reason(entry) or "not in the folder of a class"] += 1
    empty = [name for name, images in found.images.items() if not images]
    if not found.images and any(entry.name.endswith(".parquet") for entry in own):
        raise SpecError(
            f"{part} contains Parquet files, which must be in {part.parent / 'data'} or {part.parent}, with the part "
            f"in their names, such as {part.name}-00000-of-00001.parquet; move and rename them"
        )
    if not found.images and any(entry.is_file() and _is_image(entry) for entry in own):
        raise SpecError(
            f"{part} contains images but no class folders; move each image into the folder of its class, "
            f"{part.name}/CLASS/, for ImageNet its wnid such as n01440764"
        )
    if not found.images or empty:
        what = f"class {empty[0]} in {part}" if empty else f"the image folder {part}"
        raise SpecError(f"{what} is empty; it must contain images CLASS/NAME with a suffix of {', '.join(SUFFIXES)}")
    return found


def count_files(folder: Path) -> int:
    """Return the number of files below a folder, without hidden ones."""
    return sum(not name.startswith(HIDDEN) for _, _, names in os.walk(folder) for name in names)


def _list_class(folder: str, found: Listing) -> Entries:
    """Return the images of a class, and note in `found` what is left out."""
    images: Entries = []
    for path, files in sorted(_walk(folder, frozenset()), key=lambda one: one[0]):
        reasons = [_reason(entry) for entry in files]
        images += [entry for entry, reason in zip(files, reasons, strict=True) if not reason]
        found.left_out.update(filter(None, reasons))
        found.deeper += [path] if path != folder else []
    return images


def _walk(folder: str, above: Folders) -> Iterator[tuple[str, Entries]]:
    """Yield each folder from this one on, with what it contains except folders."""
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in above:
        raise SpecError(_says_loop(Path(folder)))
    found = entries(folder)
    folders = [entry.path for entry in found if entry.is_dir()]
    yield folder, [entry for entry in found if not entry.is_dir()]
    for path in folders:
        yield from _walk(path, above | {(status.st_dev, status.st_ino)})


def _says_loop(folder: Path) -> str:
    """Return the message about a folder that contains itself, which names the link that the user made, if there is one.

    A path through a link also leads to the folder itself, so to remove it by this path would remove the images.
    """
    links = [path for path in (*reversed(folder.parents), folder) if path.is_symlink()]
    if not links:
        return f"{folder} must not contain itself, as after a mount; take it out of the dataset"
    back = [link for link in links if link.resolve() in (parent := link.parent.resolve(), *parent.parents)]
    link = [*back, links[-1]][0]
    return (
        f"{link} must not be a link to a folder that contains it, {os.readlink(link)}; remove this link, not its target"
    )


def _reason(entry: os.DirEntry[str]) -> str:
    """Return why something other than a folder is left out; empty for an image."""
    if not entry.is_file():
        return "not regular files"
    return "" if _is_image(entry) else "not images"


def _is_image(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower().endswith(SUFFIXES)
