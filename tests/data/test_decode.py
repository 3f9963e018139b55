"""Images of every kind get the pixels that Pillow, and so timm, gives them; corrupt ones become grey."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from ablate.data.decode import GREY, convert, decode, orientation
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
    np.testing.assert_array_equal(pixels(convert(file)), np.asarray(file.convert("RGB")))


def test_other_formats_and_their_transparency_are_as_pillow_converts_them() -> None:
    """The format is that of the content, whatever a file is called; of several frames, the first one counts."""
    more = {"save_all": True, "append_images": [noise(seed=2)]}
    wide = Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20) * 160)
    files = [
        *(reopened(noise().convert("P"), kind, **more) for kind in ("GIF", "PNG", "WEBP")),
        reopened(noise(), "MPO", **more),
        *(reopened(noise().convert(mode), "PNG", transparency=3) for mode in ("P", "L")),
        reopened(noise(), "PNG", transparency=(1, 2, 3)),
        *(reopened(noise().convert(mode), "TIFF") for mode in ("1", "CMYK", "LAB", "YCbCr")),
        reopened(noise().convert("RGBA"), "WEBP"),
        reopened(wide, "PPM"),
    ]
    for file in files:
        expected = np.asarray(file.copy().convert("RGB"))
        np.testing.assert_array_equal(pixels(convert(file)), expected, err_msg=f"{file.format} {file.mode}")


def test_grey_is_the_same_in_all_channels() -> None:
    found = pixels(convert(reopened(noise().convert("L"), "JPEG")))
    assert (found == found[..., :1]).all()


def test_cmyk_keeps_its_colours() -> None:
    orange = Image.new("RGB", (16, 16), (240, 120, 20)).convert("CMYK")
    found = pixels(convert(reopened(orange, "TIFF")))
    np.testing.assert_allclose(found[8, 8], (240, 120, 20), atol=1)


def test_a_warning_of_pillow_does_not_make_an_image_grey() -> None:
    """Warnings are errors here, as with -W error; transparency given for every colour makes Pillow warn."""
    palette = noise().convert("P")
    file = reopened(palette, "PNG", transparency=bytes(range(256)))
    image, reason = decode(lambda: file, 8)
    assert reason is None
    np.testing.assert_array_equal(pixels(image), np.asarray(palette.convert("RGB")))


RAMP = np.linspace(0, 65535, 256).reshape(16, 16)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (Image.fromarray(RAMP.astype(np.uint16)), "PNG"),
        (Image.fromarray(RAMP.astype(np.uint16)), "TIFF"),
        (Image.fromarray(RAMP.astype(np.int32)), "TIFF"),
        (Image.fromarray(RAMP.astype(np.float32)), "TIFF"),
        (noise().convert("CMYK"), "JPEG"),
        (noise().convert("LA"), "PNG"),
        (noise().convert("P"), "GIF"),
    ],
    ids=["16 bits PNG", "16 bits TIFF", "32 bits", "float", "CMYK", "LA", "P"],
)
def test_every_other_mode_is_as_pillow_converts_it(image: Image.Image, kind: str, mode: str) -> None:
    """Also where Pillow clips, as in grey of 16 and 32 bits."""
    file = reopened(image, kind)
    expected = np.asarray(reopened(image, kind).convert(mode))
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(np.asarray(convert(file, mode)), expected)


def tagged(value: int) -> Image.Exif:
    """Return EXIF with an orientation."""
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


LIT = Image.new("RGB", (32, 16), "black")
LIT.paste("white", (0, 0, 8, 8))  # the upper left corner


@pytest.mark.parametrize("value", range(1, 9))
def test_an_image_is_turned_by_its_orientation_only_on_request(value: int) -> None:
    file = reopened(LIT, "PNG", exif=tagged(value))
    np.testing.assert_array_equal(pixels(convert(file)), np.asarray(LIT))
    assert orientation(file) == value
    found = pixels(convert(file, turn=True))
    corners = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    assert found.shape == ((16, 32, 3) if value < 5 else (32, 16, 3))
    lit = [corner for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)) if found[corner].all()]
    assert lit == [corners[value]]


def test_pillow_itself_turns_tiff() -> None:
    """So timm's loader gives the turned pixels, and nothing is left to turn."""
    file = reopened(LIT, "TIFF", exif=tagged(6))
    upright = np.asarray(LIT.transpose(Image.Transpose.ROTATE_270))
    np.testing.assert_array_equal(pixels(convert(file)), upright)
    np.testing.assert_array_equal(pixels(convert(reopened(LIT, "TIFF", exif=tagged(6)), turn=True)), upright)
    assert orientation(file) == 1


def with_exif(content: bytes) -> Image.Image:
    """Return a JPEG with given EXIF, as read from a file."""
    return reopened(LIT, "JPEG", exif=b"Exif\0\0" + content)


def test_exif_that_pillow_cannot_write_leaves_the_image() -> None:
    """A resolution that is the signed rational -1/0."""
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack("<HHII", 0x011A, 10, 1, 38)
    exif = struct.pack("<2sHIH", b"II", 42, 8, 2) + entries + struct.pack("<Iii", 0, -1, 0)
    with pytest.raises(struct.error, match="argument out of range"):
        ImageOps.exif_transpose(with_exif(exif))
    image, reason = decode(lambda: with_exif(exif), 8)
    assert (reason, image.size) == (None, (32, 16))
    image, reason = decode(lambda: with_exif(exif), 8, turn=True)
    assert (reason, image.size) == (None, (16, 32))


@pytest.mark.parametrize("content", [b"", b"no EXIF", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff"])
def test_damaged_exif_leaves_the_image(content: bytes) -> None:
    image, reason = decode(lambda: with_exif(content), 8, turn=True)
    assert (reason, image.size) == (None, (32, 16))


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
