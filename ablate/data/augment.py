"""Augmentation as batched tensor code: what happens to a picture is what `draws` says, on any device.

Pictures are uint8 in and whole numbers from 0 to 255 as float32 on the way, as Pillow rounds after each step.
"""

from __future__ import annotations

import torch

from ablate.data.draws import Draws, crop_boxes, erased_boxes, jitter_factors
from ablate.data.images import sent
from ablate.spec.run import Run

BEHAVIOUR = 1
GREY = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow


def augmented(run: Run, pictures: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Crop, flip and colours: pictures uint8 (n, C, R, R) to float32 (n, C, S, S) of whole numbers.

    Args:
        draws: of these pictures; on the CPU, so that every device is told the same.
    """
    cropped = _cropped(run, pictures, draws)
    flip = sent(draws.chance("flip", run.hflip), pictures.device)
    flipped = torch.where(flip[:, None, None, None], cropped.flip(-1), cropped)
    if not run.color_jitter:
        return flipped
    return jittered(flipped, *jitter_factors(draws, run.color_jitter))


def _cropped(run: Run, pictures: torch.Tensor, draws: Draws) -> torch.Tensor:
    side = pictures.shape[-1]
    if run.crop_min_area < 1:
        sides = torch.full((len(pictures),), side)
        return resampled(pictures, crop_boxes(draws, sides, sides, run.crop_min_area), run.image_size)
    whole = pictures.float()
    if side != run.image_size:
        whole = resampled(pictures, torch.tensor([[0, 0, side, side]]).expand(len(pictures), 4), run.image_size)
    if run.crop_padding:
        whole = moved(whole, draws.offsets("padding", 2 * run.crop_padding) - run.crop_padding)
    return whole


def moved(pictures: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """What is seen through windows of the pictures' own size at offsets (n, 2); black beyond the border."""
    count, _, height, width = pictures.shape
    offsets = sent(offsets, pictures.device)
    rows = offsets[:, 0, None] + torch.arange(height, device=pictures.device)
    columns = offsets[:, 1, None] + torch.arange(width, device=pictures.device)
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    which = torch.arange(count, device=pictures.device)[:, None, None]
    seen = pictures.permute(0, 2, 3, 1)[
        which, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None]
    ]
    return (seen * inside[..., None]).permute(0, 3, 1, 2).contiguous()


def resampled(pictures: torch.Tensor, boxes: torch.Tensor, size: int) -> torch.Tensor:
    """Boxes (n, 4) of pictures uint8 (n, C, H, W), each brought to `size` by Pillow's bicubic filter: float32.

    Along the rows first, rounded, then along the columns, as `workers.resampled` does with Pillow.
    """
    boxes = sent(boxes, pictures.device)
    rows = _weights(boxes[:, 0], boxes[:, 2], pictures.shape[2], size)
    columns = _weights(boxes[:, 1], boxes[:, 3], pictures.shape[3], size)
    across = _rounded(pictures.float() @ columns.transpose(1, 2)[:, None])
    return _rounded(rows[:, None] @ across)


def _weights(start: torch.Tensor, length: torch.Tensor, source: int, size: int) -> torch.Tensor:
    """What each of `source` pixels gives to each of `size`, (n, size, source): the filter stays inside the box."""
    scale = (length / size)[:, None]
    reach = scale.clamp(min=1)
    centre = (torch.arange(size, device=start.device) + 0.5) * scale
    first = (centre - 2 * reach + 0.5).floor().clamp(min=0)
    last = torch.minimum((centre + 2 * reach + 0.5).floor(), length[:, None])
    place = (torch.arange(source, device=start.device) - start[:, None])[:, None, :]
    inside = (place >= first[..., None]) & (place < last[..., None])
    weights = _bicubic((place - centre[..., None] + 0.5) / reach[..., None]) * inside
    return weights / weights.sum(dim=2, keepdim=True)


def _bicubic(x: torch.Tensor) -> torch.Tensor:
    """Keys' kernel with a = -0.5, Pillow's."""
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def _rounded(values: torch.Tensor) -> torch.Tensor:
    return (values + 0.5).floor().clamp(0, 255)


def jittered(pictures: torch.Tensor, order: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Brightness, contrast and saturation, in each picture's own order, by its own factors, both (n, 3), on the CPU."""
    changed = pictures.clone()
    for place in range(3):
        for number, change in enumerate(_CHANGES):
            chosen = (order[:, place] == number).nonzero()[:, 0]
            where = sent(chosen, pictures.device)
            changed[where] = change(changed[where], sent(factors[chosen, number].float(), pictures.device))
    return changed


def _brightness(pictures: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    return _blended(pictures, torch.zeros_like(pictures), factor)


def _contrast(pictures: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    mean = _rounded(_grey(pictures).mean(dim=(2, 3), keepdim=True))
    return _blended(pictures, mean, factor)


def _saturation(pictures: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    return _blended(pictures, _grey(pictures), factor)


_CHANGES = (_brightness, _contrast, _saturation)


def _grey(pictures: torch.Tensor) -> torch.Tensor:
    weights = sent(torch.tensor(GREY), pictures.device)[:, None, None]
    return _rounded((pictures * weights).sum(dim=1, keepdim=True))


def _blended(pictures: torch.Tensor, other: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """From `other` at factor 0 over the pictures at 1 and beyond."""
    share = factor[:, None, None, None]
    return (other + share * (pictures - other)).clamp(0, 255).floor()


def normalised(pictures: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """From 0..255 to float32 with the data set's mean and deviation taken out, channel by channel."""
    centre, spread = sent(torch.tensor([mean, std], dtype=torch.float32), pictures.device)[..., None, None]
    scaled: torch.Tensor = (pictures.float() / 255 - centre) / spread
    return scaled


def erased(run: Run, pictures: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Normalised pictures with a rectangle of noise in some, in place; timm's RandomErasing in mode 'pixel'."""
    if not run.random_erasing:
        return pictures
    side = pictures.shape[-1]
    boxes = erased_boxes(draws, side, run.random_erasing)
    hit = boxes[:, 2].nonzero()[:, 0]
    device = pictures.device
    where = sent(hit, device)
    some = Draws(draws.seed, draws.epoch, sent(draws.index[hit], device), sent(draws.repeat[hit], device))
    noise = some.normal("erasing noise", pictures[0].numel()).view(-1, *pictures.shape[1:])
    top, left, height, width = sent(boxes[hit], device).unbind(dim=1)
    line = torch.arange(side, device=device)
    rows = (line >= top[:, None]) & (line < (top + height)[:, None])
    columns = (line >= left[:, None]) & (line < (left + width)[:, None])
    box = (rows[:, :, None] & columns[:, None, :])[:, None]
    pictures[where] = torch.where(box, noise, pictures[where])
    return pictures
