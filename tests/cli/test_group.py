"""The command group: old names, help, and that commands are imported when they are used."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

import ablate
from ablate.cli import SECTIONS, app
from ablate.cli._renamed import COMMANDS, OPTIONS
from tests.test_layers import modules_after

ENTRIES = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
OLD_OPTIONS = [(command, old, new) for command, names in OPTIONS.items() for old, new in names.items()]


def invoke(*words: str, code: int = 0, width: int = 80) -> Result:
    result = CliRunner().invoke(app, list(words), terminal_width=width)
    assert result.exit_code == code, result.output
    return result


def command(name: str) -> Any:
    group = typer.main.get_command(app)
    return group.get_command(typer.Context(group), name)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("old", "new"), COMMANDS.items())
def test_an_old_command_prints_the_new_one(old: str, new: str) -> None:
    shown = invoke(old, "quickstart-digits", "--study", "a b", code=2).stderr
    assert shown == f"ablate: {old} is called {new} now; run: ablate {new} quickstart-digits --study 'a b'\n"
    assert old not in ENTRIES
    assert new in ENTRIES


@pytest.mark.parametrize(("name", "old", "new"), OLD_OPTIONS)
def test_an_old_option_prints_the_new_one(name: str, old: str, new: str) -> None:
    shown = invoke(name, "quickstart", f"{old}=3", "--json", code=2).stderr
    assert shown == f"ablate: {old} is called {new} now; run: ablate {name} quickstart {new}=3 --json\n"
    options = {word for item in command(name).params for word in (*item.opts, *item.secondary_opts)}
    assert new in options
    assert old not in options
    assert not re.search(rf"{old}\b(?!-)", invoke(name, "--help", width=200).stdout)


def test_all_old_names_are_replaced_at_once() -> None:
    shown = invoke("run", "quickstart", "--retries", "3", "--retry", code=2).stderr
    assert shown.endswith("run: ablate run quickstart --max-retries 3 --retry-failed\n")


@pytest.mark.parametrize("name", ENTRIES)
def test_the_list_of_commands_repeats_the_first_line_of_each_docstring(name: str) -> None:
    entry = ENTRIES[name]
    function = getattr(import_module(f"ablate.cli.{entry.module}"), entry.function or name)
    assert (inspect.getdoc(function) or "").splitlines()[0] == entry.summary


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", ENTRIES)
def test_help_fits_the_terminal_and_keeps_the_lines_of_examples(name: str, width: int) -> None:
    shown = invoke(name, "-h", width=width).stdout
    assert shown == invoke(name, "--help", width=width).stdout
    assert max(map(len, shown.splitlines())) <= width
    examples = re.findall(r"^      (ablate .*)$", shown, re.MULTILINE)
    assert examples
    assert all(line in (command(name).help or "") for line in examples)


def test_options_are_in_groups() -> None:
    shown = invoke("run", "--help").stdout
    titles = re.findall(r"^(\w.*):$", shown, re.MULTILINE)
    assert titles == ["Arguments", "Options", "Where to run", "Failures", "Resources of each run", "Slurm"]
    slurm = shown[shown.index("\nSlurm:") :]
    assert "--partition" in slurm
    assert "--threads" not in slurm


def test_version() -> None:
    assert invoke("--version").stdout == f"ablate {ablate.__version__}\n"


def test_an_unknown_command_is_answered_with_a_similar_one() -> None:
    shown = invoke("stauts", code=2).stderr
    assert "No such command 'stauts'" in shown
    assert "'status'" in shown


def test_help_imports_no_command() -> None:
    code = "from typer.testing import CliRunner; from ablate.cli import app; CliRunner().invoke(app, ['--help'])"
    assert not modules_after(code) & {"torch", "pandas", "orjson", "submitit"}
