"""The example of docs/python.md runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ablate
from ablate import api

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def test_the_example_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert names["page"] == tmp_path / "reports" / "depth_or_width-digits" / "index.html"
    assert set(ablate.status(names["study"])["state"]) == {"done"}  # type: ignore[arg-type]


def test_the_page_names_every_function(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in api.__all__ if name != "Launched" and f"`{name}(" not in text] == []
