"""Commands that the documents show are commands there are, with options they have and values these take."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

import ablate
from ablate.cli import app

HOME = Path(ablate.__file__).parent.parent
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^ {4}.+$", re.MULTILINE)
COMMAND = re.compile(r"^\s*(?:\$ |srun .*?(?=ablate )|PYTHONPATH=\. python -m )?ablate (.+)$", re.MULTILINE)


def shown() -> list[str]:
    """Every command in a block of a document, without its comment."""
    found: dict[str, None] = {}
    for path in [HOME / "README.md", *sorted((HOME / "docs").glob("*.md"))]:
        text = path.read_text("utf-8")
        blocks = [block for language, block in FENCED.findall(text) if language in ("", "console")]
        blocks += INDENTED.findall(text)
        found |= dict.fromkeys(line.partition(" #")[0].strip() for line in COMMAND.findall("\n".join(blocks)))
    return list(found)


@pytest.mark.parametrize("line", shown())
def test_a_shown_command_is_understood(line: str) -> None:
    name, *words = shlex.split(line)
    group = typer.main.get_command(app)
    command = group.get_command(typer.Context(group), name)  # type: ignore[attr-defined]
    assert command is not None
    command.make_context(name, words)
