"""Read the images in Parquet files: in order from the files, or in any order from a copy in the cache."""

from __future__ import annotations

import io
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.store import cache

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image


@dataclass(frozen=True)
class ParquetReader:
    """Rows by index. Only the last row group is kept in memory, so it is fast only in order.

    Args:
        files: paths in the order of the indices.
        column: name of the column with images.
        fingerprint: name of the copy in the cache for random access.
    """

    files: tuple[Path, ...]
    column: str
    fingerprint: str
    _kept: dict[int, Any] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def _groups(self) -> tuple[list[tuple[Path, int]], list[int]]:
        """File and number of every row group, and the index after its last row."""
        import pyarrow.parquet as pq

        found, rows = [], []
        for path in self.files:
            metadata = pq.read_metadata(path)
            found += [(path, group) for group in range(metadata.num_row_groups)]
            rows += [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        return found, list(accumulate(rows))

    def __len__(self) -> int:
        return self._groups[1][-1]

    def __getitem__(self, index: int) -> Image.Image:
        from PIL import Image

        return Image.open(io.BytesIO(self.encoded(index)))

    def encoded(self, index: int) -> bytes:
        """Return the encoded image.

        Raises:
            ValueError: when the row contains none.
        """
        group, row = self._at(index)
        if group not in self._kept:
            self._kept.clear()
            self._kept[group] = self._read(group)
        content: bytes | None = self._kept[group][row].as_py()
        if content is None:
            raise ValueError("the row contains no bytes")
        return content

    def _at(self, index: int) -> tuple[int, int]:
        """Return row group and row of an index."""
        ends = self._groups[1]
        group = bisect_right(ends, index)
        return group, index - (ends[group - 1] if group else 0)

    def _read(self, group: int) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path, number = self._groups[0][group]
        with pq.ParquetFile(path) as file:
            # One thread, since pyarrow's threads do not survive a fork into a loader process.
            column = file.read_row_group(number, columns=[self.column], use_threads=False)[self.column].combine_chunks()
        return column.field("bytes") if pa.types.is_struct(column.type) else column

    def name(self, index: int) -> str:
        """Return file, row group and row."""
        group, row = self._at(index)
        path, number = self._groups[0][group]
        return f"{path.name} row group {number} row {row}"

    def random_access(self) -> UnpackedReader:
        """Return a reader of a copy in the cache, which is as large as the Parquet files."""
        return UnpackedReader(cache.folder("unpacked", self.fingerprint, self._unpack), self)

    def _unpack(self, folder: Path) -> None:
        import numpy as np

        ends = [0]
        with open(folder / "pictures.bin", "wb") as file:
            for index in range(len(self)):
                try:
                    content = self.encoded(index)
                except ValueError:
                    content = b""
                file.write(content)
                ends.append(ends[-1] + len(content))
        np.save(folder / "ends.npy", np.array(ends, np.int64))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": {}}


@dataclass(frozen=True)
class UnpackedReader:
    """Encoded images in one file, and the end of each."""

    folder: Path
    origin: ParquetReader

    @cached_property
    def _ends(self) -> np.ndarray:
        import numpy as np

        return np.load(self.folder / "ends.npy", mmap_mode="r")  # type: ignore[no-any-return]

    def __getitem__(self, index: int) -> Image.Image:
        from PIL import Image

        start, end = int(self._ends[index]), int(self._ends[index + 1])
        with open(self.folder / "pictures.bin", "rb") as file:
            file.seek(start)
            return Image.open(io.BytesIO(file.read(end - start)))

    def name(self, index: int) -> str:
        """Return the original file, row group and row."""
        return self.origin.name(index)

    def random_access(self) -> UnpackedReader:
        """Return this reader."""
        return self
