"""An image file of any kind → an upright RGB image; one that cannot be decoded → a grey one, and the reason."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps

BEHAVIOUR = 1  # enters the name of what is kept decoded
GREY = (128, 128, 128)


def rgb(image: Image.Image) -> Image.Image:
    """The image in RGB, 8 bits a channel, turned as its EXIF orientation says.

    Greyscale is repeated over the channels, 16 bits are scaled to 8, and transparency is dropped, as timm and
    torchvision do.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _scaled(image)
    if image.mode in ("P", "PA") and "transparency" in image.info:
        # Straight to RGB, Pillow warns about transparency given for each colour.
        image = image.convert("RGBA")
    return image.convert("RGB")


def _scaled(image: Image.Image) -> Image.Image:
    """Sixteen bits of grey as eight; Pillow's own conversion would clip them."""
    values = np.asarray(image).astype(np.float64)
    return Image.fromarray(np.rint(values / 257).clip(0, 255).astype(np.uint8)).convert("RGB")


def decoded(read: Callable[[], Image.Image], side: int) -> tuple[Image.Image, str | None]:
    """What `read` opens, in RGB; where that fails, a grey square of `side` pixels and the reason.

    Raises:
        MemoryError: when there is too little; that is no fault of the image.
    """
    try:
        return rgb(read()), None
    except MemoryError:
        raise
    except Exception as error:  # a damaged file raises whatever its decoder stumbled over
        return Image.new("RGB", (side, side), GREY), f"{type(error).__name__}: {error}"
