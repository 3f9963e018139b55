"""Augmentation as batched tensor code; `draws` determines the augmentation of each image, on any device.

Input images are uint8. Between steps they are float32 with whole numbers from 0 to 255, since Pillow rounds after each.
"""

from __future__ import annotations

import torch

from ablate.data.draws import Draws, crop_boxes, erased_boxes, jitter_factors
from ablate.data.images import to_device
from ablate.spec.run import Run

BEHAVIOUR = 1
GREY = (0.299, 0.587, 0.114)  # ITU-R 601, as in Pillow


def augment(run: Run, images: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Crop, flip and jitter images: uint8 (n, C, R, R) to float32 (n, C, S, S) with whole numbers.

    Args:
        draws: the draws of these images, on the CPU so that every device uses the same numbers.
    """
    cropped = _crop(run, images, draws)
    flip = to_device(draws.chance("flip", run.hflip), images.device)
    flipped = torch.where(flip[:, None, None, None], cropped.flip(-1), cropped)
    if not run.color_jitter:
        return flipped
    return jitter(flipped, *jitter_factors(draws, run.color_jitter))


def _crop(run: Run, images: torch.Tensor, draws: Draws) -> torch.Tensor:
    side = images.shape[-1]
    if run.crop_min_area < 1:
        sides = torch.full((len(images),), side)
        return resample(images, crop_boxes(draws, sides, sides, run.crop_min_area), run.image_size)
    whole = images.float()
    if side != run.image_size:
        whole = resample(images, torch.tensor([[0, 0, side, side]]).expand(len(images), 4), run.image_size)
    if run.crop_padding:
        whole = shift(whole, draws.offsets("padding", 2 * run.crop_padding) - run.crop_padding)
    return whole


def shift(images: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Return the contents of windows of the images' size at offsets (n, 2); black outside the images."""
    count, _, height, width = images.shape
    offsets = to_device(offsets, images.device)
    rows = offsets[:, 0, None] + torch.arange(height, device=images.device)
    columns = offsets[:, 1, None] + torch.arange(width, device=images.device)
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    which = torch.arange(count, device=images.device)[:, None, None]
    visible = images.permute(0, 2, 3, 1)[
        which, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None]
    ]
    return (visible * inside[..., None]).permute(0, 3, 1, 2).contiguous()


def resample(images: torch.Tensor, boxes: torch.Tensor, size: int) -> torch.Tensor:
    """Resize boxes (n, 4) of uint8 images (n, C, H, W) to `size` with Pillow's bicubic filter; float32.

    First along the rows, then along the columns, rounded after each, as `workers.resample` does with Pillow.
    """
    boxes = to_device(boxes, images.device)
    rows = _weights(boxes[:, 0], boxes[:, 2], images.shape[2], size)
    columns = _weights(boxes[:, 1], boxes[:, 3], images.shape[3], size)
    across = _round(images.float() @ columns.transpose(1, 2)[:, None])
    return _round(rows[:, None] @ across)


def _weights(start: torch.Tensor, length: torch.Tensor, source: int, size: int) -> torch.Tensor:
    """Return the filter weights (n, size, source) of source pixels for target pixels; zero outside the box."""
    scale = (length / size)[:, None]
    reach = scale.clamp(min=1)
    centre = (torch.arange(size, device=start.device) + 0.5) * scale
    first = (centre - 2 * reach + 0.5).floor().clamp(min=0)
    last = torch.minimum((centre + 2 * reach + 0.5).floor(), length[:, None])
    position = (torch.arange(source, device=start.device) - start[:, None])[:, None, :]
    inside = (position >= first[..., None]) & (position < last[..., None])
    weights = _bicubic((position - centre[..., None] + 0.5) / reach[..., None]) * inside
    return weights / weights.sum(dim=2, keepdim=True)


def _bicubic(x: torch.Tensor) -> torch.Tensor:
    """Return the cubic kernel of Keys with a = -0.5, as in Pillow."""
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def _round(values: torch.Tensor) -> torch.Tensor:
    return (values + 0.5).floor().clamp(0, 255)


def jitter(images: torch.Tensor, order: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Change brightness, contrast and saturation of each image in its own order and by its own factors.

    Args:
        order, factors: (n, 3), on the CPU, as `jitter_factors` returns them.
    """
    changed = images.clone()
    for turn in range(3):
        for number, change in enumerate(_CHANGES):
            chosen = (order[:, turn] == number).nonzero()[:, 0]
            where = to_device(chosen, images.device)
            changed[where] = change(changed[where], to_device(factors[chosen, number].float(), images.device))
    return changed


def _brightness(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    return _blend(images, torch.zeros_like(images), factor)


def _contrast(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    mean = _round(_grey(images).mean(dim=(2, 3), keepdim=True))
    return _blend(images, mean, factor)


def _saturation(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    return _blend(images, _grey(images), factor)


_CHANGES = (_brightness, _contrast, _saturation)


def _grey(images: torch.Tensor) -> torch.Tensor:
    weights = to_device(torch.tensor(GREY), images.device)[:, None, None]
    return _round((images * weights).sum(dim=1, keepdim=True))


def _blend(images: torch.Tensor, other: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Interpolate from `other` (factor 0) to the images (factor 1), and extrapolate beyond."""
    share = factor[:, None, None, None]
    return (other + share * (images - other)).clamp(0, 255).floor()


def normalise(images: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """Scale images from 0..255 to [0, 1], then normalise by mean and standard deviation per channel; float32."""
    centre, spread = to_device(torch.tensor([mean, std], dtype=torch.float32), images.device)[..., None, None]
    scaled: torch.Tensor = (images.float() / 255 - centre) / spread
    return scaled


def erase(run: Run, images: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Replace a rectangle of some normalised images by noise, in place; timm's RandomErasing in mode 'pixel'."""
    if not run.random_erasing:
        return images
    side = images.shape[-1]
    boxes = erased_boxes(draws, side, run.random_erasing)
    hit = boxes[:, 2].nonzero()[:, 0]
    device = images.device
    where = to_device(hit, device)
    some = Draws(draws.seed, draws.epoch, to_device(draws.index[hit], device), to_device(draws.repeat[hit], device))
    noise = some.normal("erasing noise", images[0].numel()).view(-1, *images.shape[1:])
    top, left, height, width = to_device(boxes[hit], device).unbind(dim=1)
    line = torch.arange(side, device=device)
    rows = (line >= top[:, None]) & (line < (top + height)[:, None])
    columns = (line >= left[:, None]) & (line < (left + width)[:, None])
    box = (rows[:, :, None] & columns[:, None, :])[:, None]
    images[where] = torch.where(box, noise, images[where])
    return images
