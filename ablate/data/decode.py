"""Decode image files to upright RGB images; a corrupt file becomes a grey image with a reason."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps

BEHAVIOUR = 1  # enters the cache key of decoded images
GREY = (128, 128, 128)


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image to RGB with 8 bits per channel, rotated by its EXIF orientation.

    Greyscale is repeated over the channels, 16 bits are scaled to 8, and transparency is dropped, as in timm and
    torchvision.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _from_16_bits(image)
    if image.mode in ("P", "PA") and "transparency" in image.info:
        # Converting directly to RGB, Pillow would warn about transparency per palette colour.
        image = image.convert("RGBA")
    return image.convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    """Convert 16-bit greyscale to RGB; Pillow's conversion would clip the values."""
    values = np.asarray(image).astype(np.float64)
    return Image.fromarray(np.rint(values / 257).clip(0, 255).astype(np.uint8)).convert("RGB")


def decode(read: Callable[[], Image.Image], side: int) -> tuple[Image.Image, str | None]:
    """Return the image that `read` opens, in RGB, and None; or a grey square of `side` pixels and why decoding failed.

    Raises:
        MemoryError: when memory is insufficient, which does not mean that the file is corrupt.
    """
    try:
        return to_rgb(read()), None
    except MemoryError:
        raise
    except Exception as error:  # the decoder of a corrupt file can raise anything
        return Image.new("RGB", (side, side), GREY), f"{type(error).__name__}: {error}"
