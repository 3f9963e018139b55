"""Decode image files to the pixels that timm's loader gives; a corrupt file becomes a grey image with a reason."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from PIL import ExifTags, Image

BEHAVIOUR = 2  # enters the cache key of decoded images; 2: EXIF orientation, and grey of 16 and 32 bits, as in timm
GREY = (128, 128, 128)
# How to turn an image of each EXIF orientation upright; 1 is upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def convert(image: Image.Image, mode: str = "RGB", *, turn: bool = False) -> Image.Image:
    """Convert an image to 8 bits per channel with Pillow, as timm's loader does.

    Args:
        image: an opened image.
        mode: "RGB", or "L" for a model of grey images.
        turn: first turn it by its EXIF orientation, which timm ignores.
    """
    image.load()
    method = TURNS.get(orientation(image)) if turn else None
    if method is not None:
        image = image.transpose(method)
    return image.convert(mode)


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation that decoding left to the reader; 1 if there is none or EXIF is damaged."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF can raise anything
        return 1


def decode(
    read: Callable[[], Image.Image], side: int, mode: str = "RGB", *, turn: bool = False
) -> tuple[Image.Image, str | None]:
    """Return the converted image that `read` opens, and None; or a grey square of `side` pixels and why it failed.

    Raises:
        MemoryError: when memory is insufficient, which does not mean that the file is corrupt.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # with -W error, what Pillow remarks would make an image grey
            return convert(read(), mode, turn=turn), None
    except MemoryError:
        raise
    except Exception as error:  # the decoder of a corrupt file can raise anything
        reason = str(error).partition(" <_io.")[0]  # without the address of the buffer
        return Image.new("RGB", (side, side), GREY).convert(mode), f"{type(error).__name__}: {reason}"
