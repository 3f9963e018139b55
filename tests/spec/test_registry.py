"""Registries: names, messages for unknown ones, no duplicates, and constants read without importing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ablate.spec.errors import SpecError, unknown
from ablate.spec.parts import CHANNELS, DATASETS, MIXERS, STEMS
from ablate.spec.registry import Registry
from ablate.spec.source import behaviour, constant, defined, load_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "beta.py").write_text("raise RuntimeError('imported')\n")
    (tmp_path / "alpha.py").write_text("BEHAVIOUR = 3\nraise RuntimeError('imported')\n")
    (tmp_path / "_hidden.py").write_text("BEHAVIOUR = 1\n")
    (tmp_path / "notes.txt").write_text("no module\n")
    return tmp_path


def test_a_folder_is_listed_in_order_without_importing(folder: Path) -> None:
    registry = Registry("thing", "nowhere", folder)
    assert list(registry) == ["alpha", "beta"]
    assert len(registry) == 2
    assert "alpha" in registry
    assert "_hidden" not in registry


def test_a_behaviour_number_is_read_without_importing(folder: Path) -> None:
    assert Registry("thing", "nowhere", folder).behaviour("alpha") == 3


def test_a_missing_behaviour_number_is_reported_with_the_line_to_add(folder: Path) -> None:
    with pytest.raises(SpecError, match=r"beta\.py assigns no BEHAVIOUR; add a line such as BEHAVIOUR = 1"):
        Registry("thing", "nowhere", folder).behaviour("beta")


def test_a_constant_may_be_any_literal_and_only_at_top_level(tmp_path: Path) -> None:
    path = tmp_path / "some.py"
    path.write_text("NAMES = ('a', 2)\ndef f():\n    INNER = 1\n")
    assert constant(path, "NAMES") == ("a", 2)
    with pytest.raises(SpecError, match="assigns no INNER"):
        constant(path, "INNER")


def test_what_a_file_defines_is_read_without_importing(tmp_path: Path) -> None:
    path = tmp_path / "some.py"
    path.write_text("from m import a as b, c\nD = 1\ndef e(): f = 1\nclass G: pass\nraise RuntimeError\n")
    assert defined(path) == {"b", "c", "D", "e"}


def test_a_file_is_loaded_once_under_a_name_of_its_own(tmp_path: Path) -> None:
    modules = []
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "json.py"
        path.write_text(f"WHERE = {folder!r}\n")
        modules.append(load_file(path))
        assert load_file(path) is modules[-1]
    assert [module.WHERE for module in modules] == ["one", "other"]
    assert not {"one", "other", "json"} & {module.__name__ for module in modules}
    for module in modules:
        del sys.modules[module.__name__]


def test_an_entry_may_be_a_file(folder: Path, tmp_path: Path) -> None:
    registry, path = Registry("thing", "nowhere", folder), tmp_path / "gamma.py"
    path.write_text("BEHAVIOUR = 4\n")
    registry.add("gamma", str(path), path)
    assert registry["gamma"].BEHAVIOUR == registry.behaviour("gamma") == 4
    assert (registry.file("gamma"), registry.file("alpha")) == (path, None)
    del sys.modules[registry["gamma"].__name__]


def test_a_name_cannot_have_two_modules(folder: Path) -> None:
    registry = Registry("thing", "nowhere", folder)
    with pytest.raises(SpecError, match=r"thing 'alpha' is defined twice: in nowhere\.alpha and in other\.alpha"):
        registry.add("alpha", "other.alpha", folder / "alpha.py")


def test_a_module_can_be_added(folder: Path) -> None:
    registry = Registry("thing", "nowhere", folder)
    registry.add("json", "json", folder / "alpha.py")
    registry.add("json", "json", folder / "alpha.py")
    assert registry["json"].__name__ == "json"
    assert registry.behaviour("json") == 3


@pytest.mark.parametrize(
    ("name", "hint"),
    [("alhpa", "did you mean 'alpha'? known are alpha, beta"), ("zzz", "'zzz': known are alpha, beta")],
)
def test_an_unknown_name_is_reported_with_the_most_similar_and_the_list(folder: Path, name: str, hint: str) -> None:
    with pytest.raises(SpecError) as error:
        Registry("thing", "nowhere", folder)[name]
    assert f"unknown thing {name!r}" in str(error.value)
    assert hint in str(error.value)


def test_an_empty_registry_is_reported() -> None:
    assert str(unknown("thing", "a", [])) == "unknown thing 'a': known are none"


@pytest.mark.parametrize("registry", [MIXERS, CHANNELS, STEMS, DATASETS], ids=lambda registry: registry.kind)
def test_every_entry_declares_its_behaviour_and_imports(registry: Registry) -> None:
    assert len(registry) >= 2
    for name in registry:
        module = registry[name]
        assert module.BEHAVIOUR == registry.behaviour(name) >= 1
        assert module.__doc__, f"{name} has a docstring"


def test_behaviour_is_a_number(tmp_path: Path) -> None:
    path = tmp_path / "part.py"
    path.write_text("BEHAVIOUR = 2\n")
    assert behaviour(path) == 2
