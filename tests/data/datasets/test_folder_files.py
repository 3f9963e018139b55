"""Which files below a folder are images of a class, as torchvision's ImageFolder finds them, and what is left out."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from torchvision.datasets import ImageFolder

from ablate.data.datasets import _directory
from ablate.data.datasets._directory import DIRECTORY
from ablate.spec.errors import SpecError
from tests.tiny import TINY, image_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return image_folder(tmp_path / "mine", {"cat": 4, "dog": 6}, {"cat": 2, "dog": 3})


def names(folder: Path) -> list[str]:
    data = _directory.load(TINY.replace(dataset="mine", holdout=0.0), folder)
    return [data.reader.name(index) for index in data.parts["train"]]


def test_images_are_those_of_image_folder_in_the_same_order(folder: Path) -> None:
    one = folder / "train" / "cat" / "0.png"
    for place in ("b/x.png", "a/x.png", "a/b/x.png", "a-b/x.png", "a.png/x.png", "z.pgm", "Z.JPG", "a/y.webp"):
        path = folder / "train" / "cat" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(one, path)
    (folder / "train" / "dog" / "more").symlink_to(folder / "val" / "dog")
    (folder / "train" / "dog" / "link.png").symlink_to(one)
    expected = ImageFolder(str(folder / "train"))
    assert names(folder) == [str(Path(path).relative_to(folder)) for path, _ in expected.samples]
    assert DIRECTORY.facts(folder).train == (12, 10)
    assert DIRECTORY.facts(folder).left_out == {}


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".pgm"])
def test_images_of_rarer_suffixes_are_read(folder: Path, suffix: str) -> None:
    from PIL import Image

    Image.new("L", (20, 20), 7).save(folder / "train" / "cat" / f"0{suffix}")
    data = _directory.load(TINY.replace(dataset="mine", holdout=0.0), folder)
    index = names(folder).index(f"train/cat/0{suffix}")
    assert data.reader[index].convert("RGB").getpixel((0, 0)) == (7, 7, 7)


def test_what_is_left_out_is_counted_and_reported(folder: Path) -> None:
    before = DIRECTORY.line("mine", folder)
    for name in ("notes.txt", "0.gif", "more/list.csv", "more/.hidden", ".DS_Store"):
        path = folder / "train" / "cat" / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    shutil.copy(folder / "val" / "cat" / "0.png", folder / "val" / "stray.png")
    os.mkfifo(folder / "val" / "cat" / "pipe.png")
    os.mkfifo(folder / "val" / "pipe")
    facts = DIRECTORY.facts(folder)
    assert facts.left_out == {"not images": 3, "not regular files": 2, "not in the folder of a class": 1}
    line = DIRECTORY.line("mine", folder)
    assert line.startswith(before), "the fingerprint is unchanged"
    assert sorted(line[len(before) :].split("; ")) == [
        "",
        "1 file left out (not in the folder of a class)",
        "2 files left out (not regular files)",
        "3 files left out (not images)",
    ]


def class_link(folder: Path) -> Path:
    for part in ("train", "val"):
        (folder / part / "wolf").symlink_to("gone")
    return folder / "train" / "wolf"


def image_link(folder: Path) -> Path:
    (folder / "val" / "dog" / "9.png").symlink_to("gone")
    return folder / "val" / "dog" / "9.png"


def nested_link(folder: Path) -> Path:
    (folder / "val" / "dog" / "more").mkdir()
    (folder / "val" / "dog" / "more" / "batch").symlink_to("gone")
    return folder / "val" / "dog" / "more" / "batch"


def part_link(folder: Path) -> Path:
    (folder / "val").rename(folder / "test")
    (folder / "val").symlink_to("gone")
    return folder / "val"


def link_to_itself(folder: Path) -> Path:
    (folder / "train" / "dog" / "me").symlink_to("me")
    return folder / "train" / "dog" / "me"


@pytest.mark.parametrize("harm", [class_link, image_link, nested_link, part_link, link_to_itself])
def test_a_link_to_nothing_is_refused(folder: Path, harm: Callable[[Path], Path]) -> None:
    link = harm(folder)
    with pytest.raises(
        SpecError, match=f"{re.escape(str(link))} must not be a link to nothing, (gone|me); restore it or remove it"
    ):
        DIRECTORY.facts(folder)


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("train/cat/all", "."),
        ("train/cat/all", ".."),
        ("train/cat/all", "../.."),
        ("train/all", "."),
        ("train/all", ".."),
        ("val/dog/a/b/all", "../.."),
        ("val/dog/a/all", "../../../train"),
    ],
)
def test_a_link_to_a_folder_that_contains_it_is_named_itself(folder: Path, link: str, target: str) -> None:
    """The path through the link names the images themselves, which a user would remove."""
    path = folder / link
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    if target == "../../../train":
        (folder / "train" / "cat" / "back").symlink_to("../../val")
        path = folder / "train" / "cat" / "back" / link[4:]
    with pytest.raises(SpecError) as error:
        DIRECTORY.facts(folder)
    named = Path(str(error.value).partition(" must not be a link to a folder that contains it, ")[0])
    assert named.is_symlink()
    assert named in (path, folder / link)
    assert str(error.value).endswith("; remove this link, not its target")


def test_a_loop_behind_a_link_that_is_right_is_named_itself(folder: Path) -> None:
    (folder / "train" / "cat").rename(folder / "cats")
    (folder / "train" / "cat").symlink_to("../cats")
    (folder / "cats" / "loop").symlink_to("../cats")
    with pytest.raises(SpecError, match=rf"^{re.escape(str(folder))}/train/cat/loop must not be a link to a folder"):
        DIRECTORY.facts(folder)


def test_names_that_look_the_same_are_shown_with_escapes_and_refused(folder: Path) -> None:
    for part in ("train", "val"):
        (folder / part / "cat").rename(folder / part / ("\u00c4" if part == "train" else "A\u0308"))
    with pytest.raises(SpecError, match=r"only one has 'A\\u0308', \u00c4$"):
        DIRECTORY.facts(folder)
    for part, name in (("train", "A\u0308"), ("val", "\u00c4")):
        shutil.copytree(folder / part / "dog", folder / part / name)
    with pytest.raises(
        SpecError, match=r"classes in .*train must differ by more than Unicode normalisation .*'A\\u0308'"
    ):
        DIRECTORY.facts(folder)


def test_a_single_class_and_parquet_within_a_part_are_refused(folder: Path) -> None:
    for part in ("train", "val"):
        shutil.rmtree(folder / part / "dog")
    with pytest.raises(SpecError, match="must have at least two classes to tell apart, got only cat"):
        DIRECTORY.facts(folder)
    shutil.rmtree(folder / "train" / "cat")
    (folder / "train" / "0.parquet").touch()
    with pytest.raises(SpecError, match=r"train contains Parquet files, .* such as train-00000-of-00001.parquet"):
        DIRECTORY.facts(folder)


def test_a_path_that_is_not_utf8_is_refused(folder: Path) -> None:
    """The request of a run is JSON, which would not contain it."""
    moved = Path(os.fsdecode(os.fsencode(folder) + b"\xe9"))
    folder.rename(moved)
    with pytest.raises(SpecError, match=r"the path of a dataset, .*mine\\xe9 must be UTF-8; rename it"):
        DIRECTORY.facts(moved)


def test_a_class_whose_name_is_not_utf8_is_refused(folder: Path) -> None:
    for part in ("train", "val"):
        os.rename(folder / part / "dog", os.fsencode(folder / part) + b"/d\xffg")
    with pytest.raises(SpecError, match=r"the name of class .*train/d\\xffg must be UTF-8; rename it"):
        DIRECTORY.facts(folder)


def test_cached_facts_are_read_again_when_a_folder_within_a_class_changes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_directory, "MANY", 10)
    deep = folder / "train" / "cat" / "a" / "b"
    deep.mkdir(parents=True)
    shutil.copy(folder / "train" / "cat" / "0.png", deep / "x.png")
    assert DIRECTORY.facts(folder).train == (5, 6)
    shutil.copy(folder / "train" / "cat" / "1.png", deep / "y.png")
    assert DIRECTORY.facts(folder).train == (6, 6)
    shutil.rmtree(deep)
    assert DIRECTORY.facts(folder).train == (4, 6)


def test_cached_facts_keep_what_was_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_directory, "MANY", 10)
    deep = os.fsencode(folder / "train" / "cat") + b"/\xff"
    os.mkdir(deep)
    (folder / "train" / "cat" / "notes.txt").touch()
    first = DIRECTORY.facts(folder)
    assert first.left_out == {"not images": 1}
    assert DIRECTORY.facts(folder) == first
