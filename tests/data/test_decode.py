"""Images of every kind become upright RGB images; corrupt ones become grey."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ablate.data.decode import GREY, decode, to_rgb
from tests.tiny import noise


def reopened(image: Image.Image, kind: str, **options: object) -> Image.Image:
    """As it comes from a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)  # type: ignore[arg-type]
    return Image.open(io.BytesIO(file.getvalue()))


def pixels(image: Image.Image) -> np.ndarray:
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_png_of_every_mode_is_as_pillow_converts_it(mode: str) -> None:
    file = reopened(noise().convert(mode), "PNG")
    np.testing.assert_array_equal(pixels(to_rgb(file)), np.asarray(file.convert("RGB")))


def test_grey_is_the_same_in_all_channels() -> None:
    found = pixels(to_rgb(reopened(noise().convert("L"), "JPEG")))
    assert (found == found[..., :1]).all()


def test_cmyk_keeps_its_colours() -> None:
    orange = Image.new("RGB", (16, 16), (240, 120, 20)).convert("CMYK")
    found = pixels(to_rgb(reopened(orange, "TIFF")))
    np.testing.assert_allclose(found[8, 8], (240, 120, 20), atol=1)


def test_a_transparent_palette_raises_no_warning() -> None:
    """Warnings are errors here; transparency given for every colour makes Pillow warn."""
    palette = noise().convert("P")
    file = reopened(palette, "PNG", transparency=bytes(range(256)))
    np.testing.assert_array_equal(pixels(to_rgb(file)), np.asarray(palette.convert("RGB")))


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    for kind in ("PNG", "TIFF"):
        found = pixels(to_rgb(reopened(Image.fromarray(ramp), kind)))
        np.testing.assert_array_equal(found[..., 0], np.rint(ramp / 257).astype(np.uint8))
        assert len(np.unique(found)) == 256


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_image_is_put_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    whole = Image.new("RGB", (32, 16), "black")
    whole.paste("white", (0, 0, 8, 8))
    found = pixels(to_rgb(reopened(whole, "PNG", exif=exif)))
    corners = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    assert found.shape == ((16, 32, 3) if orientation < 5 else (32, 16, 3))
    lit = [corner for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)) if found[corner].all()]
    assert lit == [corners[orientation]]


def damaged(kind: str) -> bytes:
    file = io.BytesIO()
    noise(64).save(file, kind)
    return file.getvalue()[: len(file.getvalue()) // 2]


@pytest.mark.parametrize("content", [b"", b"no image", damaged("PNG"), damaged("JPEG"), damaged("TIFF")])
def test_what_cannot_be_decoded_is_grey_and_says_why(content: bytes) -> None:
    image, reason = decode(lambda: Image.open(io.BytesIO(content)), 24)
    assert image.size == (24, 24)
    assert set(image.get_flattened_data()) == {GREY}
    assert reason


def test_a_missing_file_is_as_a_damaged_one(tmp_path: Path) -> None:
    image, reason = decode(lambda: Image.open(tmp_path / "gone.png"), 24)
    assert image.size == (24, 24)
    assert reason is not None
    assert reason.startswith("FileNotFoundError: ")


def test_what_can_be_decoded_says_nothing() -> None:
    image, reason = decode(noise, 24)
    assert reason is None
    assert image.size == (20, 20)


def test_insufficient_memory_does_not_make_an_image_corrupt() -> None:
    def read() -> Image.Image:
        raise MemoryError

    with pytest.raises(MemoryError):
        decode(read, 8)
