"""Augmentation as batched tensor code: what happens to an image is what `draws` says, on any device.

Images are uint8 in and whole numbers from 0 to 255 as float32 on the way, as Pillow rounds after each step.
"""

from __future__ import annotations

import torch

from ablate.data.draws import Draws, crop_boxes, erased_boxes, jitter_factors
from ablate.data.images import sent
from ablate.spec.run import Run

BEHAVIOUR = 1
GREY = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow


def augmented(run: Run, images: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Crop, flip and colours: images uint8 (n, C, R, R) to float32 (n, C, S, S) of whole numbers.

    Args:
        draws: of these images; on the CPU, so that every device is told the same.
    """
    cropped = _cropped(run, images, draws)
    flip = sent(draws.chance("flip", run.hflip), images.device)
    flipped = torch.where(flip[:, None, None, None], cropped.flip(-1), cropped)
    if not run.color_jitter:
        return flipped
    return jittered(flipped, *jitter_factors(draws, run.color_jitter))


def _cropped(run: Run, images: torch.Tensor, draws: Draws) -> torch.Tensor:
    side = images.shape[-1]
    if run.crop_min_area < 1:
        sides = torch.full((len(images),), side)
        return resampled(images, crop_boxes(draws, sides, sides, run.crop_min_area), run.image_size)
    whole = images.float()
    if side != run.image_size:
        whole = resampled(images, torch.tensor([[0, 0, side, side]]).expand(len(images), 4), run.image_size)
    if run.crop_padding:
        whole = moved(whole, draws.offsets("padding", 2 * run.crop_padding) - run.crop_padding)
    return whole


def moved(images: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """What is seen through windows of the images' own size at offsets (n, 2); black beyond the border."""
    count, _, height, width = images.shape
    offsets = sent(offsets, images.device)
    rows = offsets[:, 0, None] + torch.arange(height, device=images.device)
    columns = offsets[:, 1, None] + torch.arange(width, device=images.device)
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    which = torch.arange(count, device=images.device)[:, None, None]
    seen = images.permute(0, 2, 3, 1)[
        which, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None]
    ]
    return (seen * inside[..., None]).permute(0, 3, 1, 2).contiguous()


def resampled(images: torch.Tensor, boxes: torch.Tensor, size: int) -> torch.Tensor:
    """Boxes (n, 4) of images uint8 (n, C, H, W), each brought to `size` by Pillow's bicubic filter: float32.

    Along the rows first, rounded, then along the columns, as `workers.resampled` does with Pillow.
    """
    boxes = sent(boxes, images.device)
    rows = _weights(boxes[:, 0], boxes[:, 2], images.shape[2], size)
    columns = _weights(boxes[:, 1], boxes[:, 3], images.shape[3], size)
    across = _rounded(images.float() @ columns.transpose(1, 2)[:, None])
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


def jittered(images: torch.Tensor, order: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Brightness, contrast and saturation, in each image's own order, by its own factors, both (n, 3), on the CPU."""
    changed = images.clone()
    for place in range(3):
        for number, change in enumerate(_CHANGES):
            chosen = (order[:, place] == number).nonzero()[:, 0]
            where = sent(chosen, images.device)
            changed[where] = change(changed[where], sent(factors[chosen, number].float(), images.device))
    return changed


def _brightness(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    return _blended(images, torch.zeros_like(images), factor)


def _contrast(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    mean = _rounded(_grey(images).mean(dim=(2, 3), keepdim=True))
    return _blended(images, mean, factor)


def _saturation(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    return _blended(images, _grey(images), factor)


_CHANGES = (_brightness, _contrast, _saturation)


def _grey(images: torch.Tensor) -> torch.Tensor:
    weights = sent(torch.tensor(GREY), images.device)[:, None, None]
    return _rounded((images * weights).sum(dim=1, keepdim=True))


def _blended(images: torch.Tensor, other: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """From `other` at factor 0 over the images at 1 and beyond."""
    share = factor[:, None, None, None]
    return (other + share * (images - other)).clamp(0, 255).floor()


def normalised(images: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """From 0..255 to float32 with the dataset's mean and deviation taken out, channel by channel."""
    centre, spread = sent(torch.tensor([mean, std], dtype=torch.float32), images.device)[..., None, None]
    scaled: torch.Tensor = (images.float() / 255 - centre) / spread
    return scaled


def erased(run: Run, images: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Normalised images with a rectangle of noise in some, in place; timm's RandomErasing in mode 'pixel'."""
    if not run.random_erasing:
        return images
    side = images.shape[-1]
    boxes = erased_boxes(draws, side, run.random_erasing)
    hit = boxes[:, 2].nonzero()[:, 0]
    device = images.device
    where = sent(hit, device)
    some = Draws(draws.seed, draws.epoch, sent(draws.index[hit], device), sent(draws.repeat[hit], device))
    noise = some.normal("erasing noise", images[0].numel()).view(-1, *images.shape[1:])
    top, left, height, width = sent(boxes[hit], device).unbind(dim=1)
    line = torch.arange(side, device=device)
    rows = (line >= top[:, None]) & (line < (top + height)[:, None])
    columns = (line >= left[:, None]) & (line < (left + width)[:, None])
    box = (rows[:, :, None] & columns[:, None, :])[:, None]
    images[where] = torch.where(box, noise, images[where])
    return images
