"""The processes that train one run together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class World:
    """This process among those that train a run.

    Args:
        rank: of this process among all.
        size: number of processes.
        local_rank: of this process on its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all processes, (n, …), in the order of ranks; each process may give another number of them."""
        if self.size == 1:
            return rows
        import torch
        from torch import distributed

        length = torch.tensor([len(rows)], device=rows.device)
        lengths = [torch.empty_like(length) for _ in range(self.size)]
        distributed.all_gather(lengths, length)
        longest = max(int(one) for one in lengths)
        padded = rows.new_zeros(longest, *rows.shape[1:])
        padded[: len(rows)] = rows
        found = [torch.empty_like(padded) for _ in range(self.size)]
        distributed.all_gather(found, padded)
        return torch.cat([part[: int(one)] for part, one in zip(found, lengths, strict=True)])


ALONE = World()
