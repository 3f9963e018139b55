"""Random numbers of an image as a function of (seed, purpose, epoch, index, repeat), independent of other images.

A torch generator is a stream: the tenth number requires the nine before it. Here each number is a hash of its purpose
(the mixing function of splitmix64, Steele et al., 2014), so any process can draw the numbers of any images, in one
batch. Raise `augment.BEHAVIOUR` when results change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ablate.spec.seeds import derive

_STEP = 0x9E3779B97F4A7C15 - 2**64
_ONE, _TWO = 0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64
TRIES = 10  # attempts to find a box that fits, as in torchvision and timm


def _shift_right(bits: torch.Tensor, by: int) -> torch.Tensor:
    """Shift to the right and fill with zeros, since integers in torch are signed."""
    return (bits >> by) & ((1 << (64 - by)) - 1)


def _mix_bits(bits: torch.Tensor) -> torch.Tensor:
    bits = (bits ^ _shift_right(bits, 30)) * _ONE
    bits = (bits ^ _shift_right(bits, 27)) * _TWO
    return bits ^ _shift_right(bits, 31)


def random_bits(seed: int, *parts: torch.Tensor) -> torch.Tensor:
    """Return 64 random bits, int64, for each combination of the parts, which are int64 and broadcast together."""
    state: torch.Tensor | int = seed
    for part in parts:
        state = _mix_bits(state + (part + 1) * _STEP)
    assert isinstance(state, torch.Tensor)
    return state


@dataclass(frozen=True)
class Draws:
    """The random numbers of some images in one epoch.

    Args:
        seed: seed of the run.
        epoch: number of the epoch, from 0.
        index, repeat: index and repeat of each image, int64, (n,).
    """

    seed: int
    epoch: int
    index: torch.Tensor
    repeat: torch.Tensor

    @classmethod
    def from_samples(cls, seed: int, epoch: int, samples: torch.Tensor) -> Draws:
        """Return the draws of rows of index and repeat, (n, 2)."""
        return cls(seed, epoch, samples[:, 0], samples[:, 1])

    def _bits(self, purpose: str, slots: int) -> torch.Tensor:
        slot = torch.arange(slots, device=self.index.device)
        seed = derive(self.seed, purpose, self.epoch)
        return random_bits(seed, self.index[:, None], self.repeat[:, None], slot)

    def uniform(self, purpose: str, slots: int) -> torch.Tensor:
        """Return uniform numbers in [0, 1), float64, (n, slots)."""
        return _shift_right(self._bits(purpose, slots), 11).double() * 2.0**-53

    def normal(self, purpose: str, slots: int) -> torch.Tensor:
        """Return standard normal numbers, float32, (n, slots); from 24 bits each, so no absolute value exceeds 5.5."""
        uniform = (_shift_right(self._bits(purpose, slots), 40).float() + 0.5) * 2.0**-24
        normal: torch.Tensor = torch.special.ndtri(uniform)
        return normal

    def chance(self, purpose: str, probability: float) -> torch.Tensor:
        """Return whether an event of some probability occurs, bool, (n,)."""
        return self.uniform(purpose, 1)[:, 0] < probability

    def offsets(self, purpose: str, largest: int) -> torch.Tensor:
        """Return rows and columns from 0 to `largest`, int64, (n, 2)."""
        return (self.uniform(purpose, 2) * (largest + 1)).long()


def crop_boxes(draws: Draws, height: torch.Tensor, width: torch.Tensor, min_area: float) -> torch.Tensor:
    """Draw the boxes of torchvision's RandomResizedCrop: area from `min_area` to 1, aspect ratio from 3:4 to 4:3.

    Args:
        height, width: size of each image, int64, (n,).

    Returns:
        Top, left, height and width, int64, (n, 4); the centre crop if none of ten boxes fits.
    """
    drawn = draws.uniform("crop", 4 * TRIES).view(-1, TRIES, 4)
    area = (height * width)[:, None] * (min_area + (1 - min_area) * drawn[..., 0])
    high, wide = _sides(area, torch.exp(math.log(3 / 4) + 2 * math.log(4 / 3) * drawn[..., 1]))
    fits = (wide > 0) & (high > 0) & (wide <= width[:, None]) & (high <= height[:, None])
    top = (drawn[..., 2] * (height[:, None] - high + 1)).long()
    left = (drawn[..., 3] * (width[:, None] - wide + 1)).long()
    return _first_fitting(torch.stack([top, left, high, wide], dim=-1), fits, _centre_crop(height, width))


def erased_boxes(draws: Draws, side: int, probability: float) -> torch.Tensor:
    """Draw the boxes of timm's RandomErasing for images of `side`: area 0.02 to 1/3, aspect ratio 0.3 to 1/0.3.

    Returns:
        Top, left, height and width, int64, (n, 4); height 0 if nothing is erased.
    """
    drawn = draws.uniform("erase", 4 * TRIES).view(-1, TRIES, 4)
    area = side * side * (0.02 + (1 / 3 - 0.02) * drawn[..., 0])
    wide, high = _sides(area, torch.exp(math.log(0.3) * (1 - 2 * drawn[..., 1])))
    fits = (wide < side) & (high < side)
    top, left = (drawn[..., 2] * (side - high + 1)).long(), (drawn[..., 3] * (side - wide + 1)).long()
    nothing = torch.zeros(len(drawn), 4, dtype=torch.long)
    boxes = _first_fitting(torch.stack([top, left, high, wide], dim=-1), fits, nothing)
    return torch.where(draws.chance("erase at all", probability)[:, None], boxes, nothing)


def _sides(area: torch.Tensor, aspect: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the sides of boxes in whole pixels; the second is `aspect` times the first."""
    return torch.sqrt(area / aspect).round().long(), torch.sqrt(area * aspect).round().long()


def _first_fitting(boxes: torch.Tensor, fits: torch.Tensor, otherwise: torch.Tensor) -> torch.Tensor:
    """Return the first fitting box of each image, from boxes (n, tries, 4)."""
    which = fits.int().argmax(dim=1)
    chosen = boxes[torch.arange(len(boxes)), which]
    return torch.where(fits.any(dim=1)[:, None], chosen, otherwise)


def _centre_crop(height: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    """Return the largest centred box with an aspect ratio from 3:4 to 4:3."""
    high = torch.minimum(height, (width * (4 / 3)).round().long())
    wide = torch.minimum(width, (height * (4 / 3)).round().long())
    return torch.stack([(height - high) // 2, (width - wide) // 2, high, wide], dim=1)


def jitter_factors(draws: Draws, strength: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw torchvision's ColorJitter of brightness (0), contrast (1) and saturation (2).

    Returns:
        The order of the three changes, (n, 3), and the factor of each, (n, 3).
    """
    order = draws.uniform("jitter order", 3).argsort(dim=1)
    return order, 1 - strength + 2 * strength * draws.uniform("jitter", 3)
