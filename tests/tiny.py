"""Helpers of the tests: a run that trains in a tenth of a second, small datasets, and records without training."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from ablate.spec.plugins import SLOTS
from ablate.spec.run import Run
from ablate.store.records import Record
from tests.synthetic import fingerprint_of

TINY = Run(
    dataset="digits_shifted",
    image_size=12,
    patch_size=4,
    dim=16,
    depth=2,
    heads=2,
    mlp_ratio=2.0,
    pool="avg",
    batch_size=256,
    epochs=2,
    holdout=0.2,
)
# Every part of the package as (slot, name), and a variant for each; DISTINCT has equal variants once.
PARTS = [(slot, name) for slot, registry in SLOTS.items() for name in registry]
VARIANTS = {f"{slot} {name}": TINY.replace(**{slot: name}) for slot, name in PARTS}
_RUNS = list(VARIANTS.values())
DISTINCT = [name for at, (name, run) in enumerate(VARIANTS.items()) if run not in _RUNS[:at]]
LEGAL_POOLS = [("cls", True), ("avg", True), ("avg", False)]  # (pool, norm_before_pool)


def record_of(run: Run, fingerprint: str = "", params: int = 1000, **metrics: Any) -> Record:
    """Return the record of a run with 8 test images, half of them correct; of the present data by default."""
    found = {"top1": 50.0, "top5": 90.0, "loss": 1.0, "n": 8, "correct": base64.b64encode(b"\xf0").decode(), **metrics}
    return Record(
        key=run.key,
        run=run.to_dict(),
        metrics=found,
        history=[{"epoch": epoch + 1, "lr": run.lr, "train_loss": 2.0 - epoch} for epoch in range(2)],
        complexity={"params": params, "macs": 10 * params, "tokens": 9},
        dataset={
            "fingerprint": fingerprint or fingerprint_of(run.dataset),
            "classes": ["0", "1"],
            "channels": 1,
            "n_test": 8,
        },
        cost={"training_s": 2.0, "images_per_s": 100.0, "total_s": 3.0, "peak_memory_mib": None},
        provenance={
            "commit": "c" * 40,
            "dirty": False,
            "versions": {"torch": "2"},
            "device": "a CPU",
            "host": "here",
            "resources": {"threads": 1, "workers": 0, "device": "auto"},
            "finished": "2026-01-01T00:00:00+00:00",
        },
    )


def image_folder(
    where: Path, train: dict[str, int], test: dict[str, int], *, test_name: str = "val", side: int = 20
) -> Path:
    """Write a directory of PNGs of distinct colours, with a number of images per class for each part."""
    for part, classes in (("train", train), (test_name, test)):
        for at, (name, count) in enumerate(classes.items()):
            folder = where / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                image = Image.new("RGB", (side, side), (80 * at, 10 * number, 50 if part == "train" else 200))
                image.putpixel((number % side, 0), (255, 255, 255))
                image.save(folder / f"{number}.png")
    return where


def noise(side: int = 20, height: int | None = None, seed: int = 0) -> Image.Image:
    """Return a colour image of noise."""
    values = np.random.default_rng(seed).integers(0, 256, (height or side, side, 3), dtype=np.uint8)
    return Image.fromarray(values)


def noise_folder(where: Path, train: int, test: int, *, classes: int = 2, side: int = 20) -> Path:
    """Write a directory of distinct PNGs of noise, with a number of images per class for each part."""
    for part, count in (("train", train), ("val", test)):
        for label in range(classes):
            folder = where / part / f"class{label}"
            folder.mkdir(parents=True)
            for number in range(count):
                noise(side, seed=100 * number + 10 * label + len(part)).save(folder / f"{number}.png")
    return where


def parquet_folder(
    where: Path,
    train: dict[str, int],
    test: dict[str, int],
    *,
    names: tuple[str, str] = ("image", "label"),
    test_name: str = "validation",
    metadata: bool = True,
    side: int = 8,
) -> Path:
    """Write Parquet files as on the Hugging Face hub, with several row groups, and a number of images per class."""
    classes = sorted(train)
    content = {"info": {"features": {names[1]: {"_type": "ClassLabel", "names": classes}}}}
    (where / "data").mkdir(parents=True)
    for part, counts in (("train", train), (test_name, test)):
        labels = [classes.index(name) for name, count in counts.items() for _ in range(count)]
        images = [{"bytes": _png(at, part == "train", side), "path": f"{at}.png"} for at in range(len(labels))]
        table = pa.table({names[0]: images, names[1]: labels})
        if metadata:
            table = table.replace_schema_metadata({"huggingface": json.dumps(content)})
        path = where / "data" / f"{part}-00000-of-00001.parquet"
        pq.write_table(table, path, row_group_size=max(1, len(labels) // 2))
    return where


def _png(number: int, train: bool, side: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), (number % 256, number // 256, 50 if train else 200)).save(file, "PNG")
    return file.getvalue()


def odd_images(side: int, height: int) -> dict[str, bytes]:
    """Return files of noise by name: with EXIF orientation, grey of 16 and 32 bits, transparency, and CMYK."""
    found: dict[str, bytes] = {}

    def save(name: str, image: Image.Image, **options: Any) -> None:
        file = io.BytesIO()
        image.save(file, {"jpg": "JPEG", "png": "PNG", "tif": "TIFF"}[name.rpartition(".")[2]], **options)
        found[name] = file.getvalue()

    for value in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = value
        for kind in ("jpg", "png"):
            save(f"orientation{value}.{kind}", noise(side, height, seed=value), exif=exif)
    save("turned.tif", noise(side, height, seed=9), exif=exif)
    levels = np.random.default_rng(1).integers(0, 2**16, (height, side))
    save("16.png", Image.fromarray(levels.astype(np.uint16)))
    save("16.tif", Image.fromarray(levels.astype(np.uint16) // 200))
    save("32.tif", Image.fromarray(levels.astype(np.int32) // 100))
    save("float.tif", Image.fromarray(levels.astype(np.float32) / 200))
    save("grey_alpha.png", noise(side, height, seed=10).convert("LA"))
    save("palette.png", noise(side, height, seed=11).convert("P"), transparency=bytes(range(256)))
    save("cmyk.jpg", noise(side, height, seed=12).convert("CMYK"))
    return found


def odd_folder(where: Path, side: int = 24, height: int = 36, classes: int = 2) -> Path:
    """Write `odd_images` as training and as test part, in each class in turn."""
    for at, (name, content) in enumerate(odd_images(side, height).items()):
        for part in ("train", "val"):
            path = where / part / f"class{at % classes}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return where


def as_parquet(folder: Path, where: Path) -> Path:
    """Write the images of a directory of folders as Parquet files, in the same order."""
    where.mkdir(parents=True)
    for part in ("train", "val"):
        files = sorted((folder / part).rglob("*.*"))
        classes = sorted({path.parent.name for path in files})
        images = [{"bytes": path.read_bytes(), "path": path.name} for path in files]
        labels = [classes.index(path.parent.name) for path in files]
        pq.write_table(pa.table({"image": images, "label": labels}), where / f"{part}.parquet")
    return where
