"""What is drawn for an image, as a function of (seed, purpose, epoch, index, repeat): the same for any subset of them.

Torch's generators are streams: the tenth number needs the nine before it. Here a number is a hash of what it is for
(the mixing function of splitmix64, Steele et al., 2014), so any process draws for any image, many at once. A change
here raises `augment.BEHAVIOUR`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ablate.spec.seeds import derive

_STEP = 0x9E3779B97F4A7C15 - 2**64
_ONE, _TWO = 0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64
TRIES = 10  # for a box that fits, as in torchvision and timm


def _shifted(bits: torch.Tensor, by: int) -> torch.Tensor:
    """Shifted to the right, zeros coming in: torch has signed integers only."""
    return (bits >> by) & ((1 << (64 - by)) - 1)


def _mixed(bits: torch.Tensor) -> torch.Tensor:
    bits = (bits ^ _shifted(bits, 30)) * _ONE
    bits = (bits ^ _shifted(bits, 27)) * _TWO
    return bits ^ _shifted(bits, 31)


def random_bits(seed: int, *parts: torch.Tensor) -> torch.Tensor:
    """64 random bits, int64, for each combination of the parts, int64, which are broadcast together."""
    state: torch.Tensor | int = seed
    for part in parts:
        state = _mixed(state + (part + 1) * _STEP)
    assert isinstance(state, torch.Tensor)
    return state


@dataclass(frozen=True)
class Draws:
    """The draws of some images in an epoch.

    Args:
        seed, epoch: of the run.
        index, repeat: int64, (n,), of each image.
    """

    seed: int
    epoch: int
    index: torch.Tensor
    repeat: torch.Tensor

    @classmethod
    def of(cls, seed: int, epoch: int, samples: torch.Tensor) -> Draws:
        """For rows of index and repeat, (n, 2)."""
        return cls(seed, epoch, samples[:, 0], samples[:, 1])

    def _bits(self, purpose: str, slots: int) -> torch.Tensor:
        slot = torch.arange(slots, device=self.index.device)
        seed = derive(self.seed, purpose, self.epoch)
        return random_bits(seed, self.index[:, None], self.repeat[:, None], slot)

    def uniform(self, purpose: str, slots: int) -> torch.Tensor:
        """From 0 to below 1: float64, (n, slots)."""
        return _shifted(self._bits(purpose, slots), 11).double() * 2.0**-53

    def normal(self, purpose: str, slots: int) -> torch.Tensor:
        """Standard normal, float32, (n, slots), from 24 bits each: nothing lies beyond 5.5."""
        uniform = (_shifted(self._bits(purpose, slots), 40).float() + 0.5) * 2.0**-24
        normal: torch.Tensor = torch.special.ndtri(uniform)
        return normal

    def chance(self, purpose: str, probability: float) -> torch.Tensor:
        """Bool, (n,)."""
        return self.uniform(purpose, 1)[:, 0] < probability

    def offsets(self, purpose: str, room: int) -> torch.Tensor:
        """Row and column from 0 to `room`: int64, (n, 2)."""
        return (self.uniform(purpose, 2) * (room + 1)).long()


def crop_boxes(draws: Draws, height: torch.Tensor, width: torch.Tensor, min_area: float) -> torch.Tensor:
    """The boxes of torchvision's RandomResizedCrop: area from `min_area` to 1, sides from 3:4 to 4:3.

    Args:
        height, width: of each image, int64, (n,).

    Returns:
        Top, left, height and width, int64, (n, 4); the middle where ten tries do not fit.
    """
    drawn = draws.uniform("crop", 4 * TRIES).view(-1, TRIES, 4)
    area = (height * width)[:, None] * (min_area + (1 - min_area) * drawn[..., 0])
    high, wide = _sides(area, torch.exp(math.log(3 / 4) + 2 * math.log(4 / 3) * drawn[..., 1]))
    fits = (wide > 0) & (high > 0) & (wide <= width[:, None]) & (high <= height[:, None])
    top = (drawn[..., 2] * (height[:, None] - high + 1)).long()
    left = (drawn[..., 3] * (width[:, None] - wide + 1)).long()
    return _first(torch.stack([top, left, high, wide], dim=-1), fits, _middle(height, width))


def erased_boxes(draws: Draws, side: int, probability: float) -> torch.Tensor:
    """The boxes of timm's RandomErasing in images of `side`: area from 0.02 to 1/3, sides from 0.3 to 1/0.3.

    Returns:
        Top, left, height and width, int64, (n, 4); of height 0 where nothing is erased.
    """
    drawn = draws.uniform("erase", 4 * TRIES).view(-1, TRIES, 4)
    area = side * side * (0.02 + (1 / 3 - 0.02) * drawn[..., 0])
    wide, high = _sides(area, torch.exp(math.log(0.3) * (1 - 2 * drawn[..., 1])))
    fits = (wide < side) & (high < side)
    top, left = (drawn[..., 2] * (side - high + 1)).long(), (drawn[..., 3] * (side - wide + 1)).long()
    nothing = torch.zeros(len(drawn), 4, dtype=torch.long)
    boxes = _first(torch.stack([top, left, high, wide], dim=-1), fits, nothing)
    return torch.where(draws.chance("erase at all", probability)[:, None], boxes, nothing)


def _sides(area: torch.Tensor, aspect: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The sides of boxes of an area, in whole pixels; the second is `aspect` times the first."""
    return torch.sqrt(area / aspect).round().long(), torch.sqrt(area * aspect).round().long()


def _first(boxes: torch.Tensor, fits: torch.Tensor, otherwise: torch.Tensor) -> torch.Tensor:
    """Of each image's boxes (n, tries, 4) the first that fits."""
    which = fits.int().argmax(dim=1)
    chosen = boxes[torch.arange(len(boxes)), which]
    return torch.where(fits.any(dim=1)[:, None], chosen, otherwise)


def _middle(height: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    """The largest box in the middle whose sides are no further apart than 3:4."""
    high = torch.minimum(height, (width * (4 / 3)).round().long())
    wide = torch.minimum(width, (height * (4 / 3)).round().long())
    return torch.stack([(height - high) // 2, (width - wide) // 2, high, wide], dim=1)


def jitter_factors(draws: Draws, strength: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Torchvision's ColorJitter of brightness (0), contrast (1) and saturation (2).

    Returns:
        What comes first, second and third, (n, 3), and by how much each of the three changes, (n, 3).
    """
    order = draws.uniform("jitter order", 3).argsort(dim=1)
    return order, 1 - strength + 2 * strength * draws.uniform("jitter", 3)
