"""A look at the images of a dataset before any run: which are corrupt, and which have an EXIF orientation."""

from __future__ import annotations

from dataclasses import dataclass

from numpy import isin
from PIL import Image

from ablate.data.datasets import Encoded, Part, Reader
from ablate.data.decode import TURNS, decode, orientation
from ablate.spec.resources import Resources

BLOCK = 100  # images in order, which are fast to read from Parquet files too
BLOCKS = 10
ALLOWED = Resources().max_corrupt


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was found.

    Args:
        total: number of images in the dataset.
        seen: number of images that were decoded.
        turned: number of these with an EXIF orientation that timm ignores.
        corrupt: name and reason of each that could not be decoded.
        spoilt: parts with so many of these that a run stops.
    """

    total: int
    seen: int
    turned: int
    corrupt: list[tuple[str, str]]
    spoilt: list[Part]

    def __str__(self) -> str:
        """Return a line such as "all 20 images decoded: 2 with an EXIF orientation; 1 corrupt, …"."""
        which = f"all {self.total:,}" if self.seen == self.total else f"{self.seen:,} of {self.total:,}"
        found = []
        if self.turned:
            found.append(f"{self.turned:,} with an EXIF orientation, ignored as in timm unless exif_transpose=True")
        if self.corrupt:
            name, reason = self.corrupt[0]
            found.append(f"{len(self.corrupt):,} corrupt, such as {name} ({reason})")
        if self.spoilt:
            found.append(
                f"a run stops, since more than {100 * ALLOWED:g} % of its {' and '.join(self.spoilt)} part are "
                "corrupt; fix them, or allow more with --max-corrupt"
            )
        return f"{which} images decoded: {'; '.join(found) or 'none corrupt, none with an EXIF orientation'}"


def look(data: Encoded) -> Look:
    """Decode the images of a dataset; of a large one, ten blocks at equal distances."""
    total = len(data.labels)
    chosen = range(total) if total <= BLOCK * BLOCKS else _blocks(total)
    found = [(index, *_look_at(data.reader, index)) for index in chosen]
    corrupt = [index for index, _, reason in found if reason is not None]
    return Look(
        total=total,
        seen=len(found),
        turned=sum(turned for _, turned, _ in found),
        corrupt=[(data.reader.name(index), reason) for index, _, reason in found if reason is not None],
        spoilt=[part for part, of_part in data.parts.items() if isin(corrupt, of_part).sum() > ALLOWED * len(of_part)],
    )


def _blocks(total: int) -> list[int]:
    starts = [block * (total - BLOCK) // (BLOCKS - 1) for block in range(BLOCKS)]
    return sorted({index for start in starts for index in range(start, start + BLOCK)})


def _look_at(reader: Reader, index: int) -> tuple[bool, str | None]:
    """Return whether an image has an orientation that decoding ignored, and why it cannot be decoded."""
    opened: list[Image.Image] = []

    def read() -> Image.Image:
        opened.append(reader[index])
        return opened[0]

    _, reason = decode(read, side=1)
    return reason is None and orientation(opened[0]) in TURNS, reason
